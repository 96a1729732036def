import { afterEach, describe, expect, test } from 'vitest'
import type { Client, ClientOptions, Feed, TableEvent, Transport } from '../../src/index.js'
import { sign } from '../support/gateway.js'
import { Scene, live, watch } from '../support/scene.js'
import { until } from '../support/until.js'

interface Registration {
  readonly id: number
  readonly student_id: string
  readonly progress: number
}

const TABLES = [
  'create table courses (id int primary key, title text)',
  'create table registrations (id int primary key, student_id text, progress int default 0)',
]
// Once with its schema and once without, as settings may have it.
const TOML = `[feeds.student]
path = "student/{id}"
require = { role = ["student"], sub = "{id}" }
tables = [
  { table = "public.registrations", filter = "student_id=eq.{id}" },
  { table = "courses" },
]
[feeds.dashboard]
require = { role = ["admin"] }
tables = [{ table = "registrations" }]
`

let scene: Scene
afterEach(() => scene.strike())

async function set(heartbeatMs = 15_000): Promise<void> {
  const settings = { SERVER__HEARTBEAT_MS: String(heartbeatMs), SERVER__RETRY_SPREAD_MS: '50' }
  const watched = ['courses', 'registrations']
  scene = await Scene.set({ tables: TABLES, watched, toml: TOML, settings })
  await scene.sql("insert into courses values (1, 'SQL')")
  await scene.sql("insert into registrations values (1, '7'), (2, '8')")
}

function student(options: ClientOptions = {}): [Client, Feed] {
  const client = scene.client({ token: sign({ sub: '7', role: 'student' }), ...options })
  return [client, client.feed('student/7')]
}

function follow(feed: Feed): string[] {
  const heard: string[] = []
  feed.table<Registration>('registrations').subscribe((event: TableEvent<Registration>) => {
    heard.push(event.type === 'resync' ? event.reason : `${event.effect} ${String(event.key.id)}`)
  })
  return heard
}

async function enrol(from: number, to: number): Promise<void> {
  for (let id = from; id <= to; id += 1) {
    await scene.transaction(
      `insert into registrations values (${String(id * 2)}, '8')`,
      `insert into registrations values (${String(id * 2 + 1)}, '7')`,
    )
  }
}

describe.each<Transport>(['websocket', 'sse', 'poll'])('over %s a declared feed', (transport) => {
  test('has the tables and the rows that its owner gave it, all by one connection', async () => {
    await set()
    const [client, feed] = student({ transport })
    const registrations = watch(feed.live<Registration>('registrations', { orderBy: '-id' }))
    const courses = watch(feed.live<{ title: string }>('courses'))
    const heard = follow(feed)
    await registrations.shows('id', [1])
    await courses.shows('title', ['SQL'])
    if (transport !== 'poll') {
      await until('one connection', async () => (await scene.metric('pgfeed_connections')) === 1)
    }
    expect(feed.connection.get()).toMatchObject({ state: 'live', transport })
    await enrol(2, 3)
    await registrations.shows('id', [7, 5, 1])
    await scene.sql("update courses set title = 'Rust'")
    await courses.shows('title', ['Rust'])
    expect(heard).toEqual(['enter 5', 'enter 7'])
    // The feed of the client's own tables was never needed.
    expect(client.connection.get().state).toBe('connecting')
  })

  test('goes on from its cursor, each change once, however often the gateway is killed', async () => {
    await set()
    const [, feed] = student({ transport })
    const registrations = watch(feed.live<Registration>('registrations'))
    const heard = follow(feed)
    await registrations.shows('id', [1])
    for (let round = 0; round < 3; round += 1) {
      await enrol(round * 10 + 2, round * 10 + 6)
      await scene.gateway.end('SIGKILL')
      await enrol(round * 10 + 7, round * 10 + 11)
      await scene.gateway.restart()
    }
    const ids = Array.from({ length: 30 }, (_, n) => (n + 2) * 2 + 1)
    await registrations.shows('id', [1, ...ids])
    expect(heard).toEqual(ids.map((id) => `enter ${String(id)}`))
  })

  test('gives a table that is asked for later from its beginning', async () => {
    await set()
    const [, feed] = student({ transport })
    await watch(feed.live<Registration>('registrations')).shows('id', [1])
    await scene.sql("insert into courses values (2, 'Rust')")
    const courses = watch(feed.live<{ title: string }>('courses'))
    await courses.shows('title', ['SQL', 'Rust'])
    await scene.gateway.end('SIGKILL')
    await scene.sql("insert into courses values (3, 'Go')")
    await scene.gateway.restart()
    await courses.shows('title', ['SQL', 'Rust', 'Go'])
  })

  test('is an error for those whom it is not open to, and opens with their sign-in', async () => {
    await set()
    const [client, feed] = student({ transport, token: sign({ sub: '8', role: 'student' }) })
    const registrations = watch(feed.live<Registration>('registrations'))
    await until('the refusal', () => registrations.set.get().status === 'error')
    expect(registrations.set.get().error).toMatchObject({ code: 'forbidden', retrying: false })
    client.setToken(sign({ sub: '7', role: 'student' }))
    await registrations.shows('id', [1])
  })

  test('says that a table is not on it', async () => {
    await set(1_000)
    const [, feed] = student({ transport })
    const wrong = watch(feed.live('course'))
    const right = watch(feed.live<Registration>('registrations'))
    await right.shows('id', [1])
    await until('the error', () => wrong.set.get().error !== null)
    expect(wrong.set.get().error).toMatchObject({ code: 'not_found', retrying: true })
    expect(wrong.set.get().error?.message).toContain('“course”')
  })

  test('takes a token of the same person while it is open', async () => {
    await set()
    const [client, feed] = student({ transport, token: sign({ sub: '7', role: 'student' }, 3) })
    const registrations = watch(feed.live<Registration>('registrations'))
    await registrations.shows('id', [1])
    const lost: string[] = []
    feed.connection.subscribe(() => lost.push(feed.connection.get().state))
    client.setToken(sign({ sub: '7', role: 'student' }))
    const firstEndsAtMs = Date.now() + 3_500
    await until('the end of the first token', () => Date.now() > firstEndsAtMs)
    await enrol(2, 2)
    await registrations.shows('id', [1, 5])
    expect(lost.filter((state) => state !== 'live')).toEqual([])
  })
})

test('the same path is the same feed, and another one another', async () => {
  await set()
  const [client, feed] = student()
  expect(client.feed('student/7')).toBe(feed)
  expect(client.feed('dashboard')).not.toBe(feed)
  const registrations = watch(feed.live<Registration>('registrations'))
  const own = watch(client.live<Registration>('registrations'))
  await registrations.shows('id', [1])
  // Settings let anyone read the table: it is the feed that narrows it.
  await own.shows('id', [1, 2])
  client.close()
  expect(feed.connection.get().state).toBe('closed')
  expect(client.feed('dashboard').connection.get().state).toBe('closed')
})

test('a declared feed takes no filter from the page', async () => {
  await set()
  const [client] = student()
  // What a provider's feed does to a hook that names a filter.
  const feed = client.feed('student/7') as Client
  const narrow = watch(feed.live('registrations', { filter: 'progress=gt.5' }))
  await until('the refusal', () => narrow.set.get().status === 'error')
  expect(narrow.set.get().error?.message).toContain('has its own filter')
  await live(feed)
})

test('a feed’s socket that leads nowhere is found out, and left', async () => {
  await set(1_000)
  const [, feed] = student()
  const registrations = watch(feed.live<Registration>('registrations'))
  await registrations.shows('id', [1])
  await scene.gateway.freeze()
  await until('silence to be noticed', () => feed.connection.get().state !== 'live')
  await until('the set to say so too', () => registrations.set.get().status === 'stale')
  expect(registrations.set.get().rows).toMatchObject([{ id: 1 }])
  await enrol(2, 2)
  scene.gateway.thaw()
  await registrations.shows('id', [1, 5])
})
