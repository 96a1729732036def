import { afterEach, describe, expect, test } from 'vitest'
import type { ConnectionState } from '../../src/index.js'
import { Cluster } from '../support/cluster.js'
import { Scene, brief, live, watch } from '../support/scene.js'
import type { Course } from '../support/scene.js'
import { until } from '../support/until.js'

let scene: Scene
let cluster: Cluster | null = null
afterEach(async () => {
  await scene.strike()
  await cluster?.drop()
  cluster = null
})

function titles(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, n) => `t${String(from + n)}`)
}

async function insert(names: readonly string[]): Promise<void> {
  for (const name of names) await scene.sql('insert into courses (title) values ($1)', [name])
}

/** Sixty rows; the gateway dies and comes back three times among them. */
async function insertThroughKills(): Promise<void> {
  for (let round = 0; round < 3; round += 1) {
    await insert(titles(round * 20 + 1, round * 20 + 10))
    await scene.gateway.end('SIGKILL')
    await insert(titles(round * 20 + 11, round * 20 + 20))
    await scene.gateway.restart()
  }
}

describe.each(['websocket', 'sse', 'poll'] as const)('over %s', (transport) => {
  test('a callback hears each change once, however often the gateway is killed', async () => {
    scene = await Scene.set()
    const client = scene.client({ transport })
    const heard: string[] = []
    client.table<Course>('courses').subscribe((event) => heard.push(brief(event)))
    await live(client)
    await insertThroughKills()
    await until('all changes', () => heard.length >= 60)
    expect(heard).toEqual(titles(1, 60).map((title) => `enter ${title}`))
  })

  test('a set is right, however often the gateway is killed', async () => {
    scene = await Scene.set()
    const courses = watch(scene.client({ transport }).live<Course>('courses'))
    await courses.shows('title', [])
    await insertThroughKills()
    await courses.shows('title', titles(1, 60))
  })

  test('a page is live again soon though nothing is written', async () => {
    scene = await Scene.set()
    await insert(['a'])
    const courses = watch(scene.client({ transport }).live<Course>('courses'))
    await courses.shows('title', ['a'])
    await scene.gateway.restart()
    await until('the page to know', () => courses.set.get().status === 'stale')
    await courses.shows('title', ['a'])
  })
})

test('a gateway that drains says when to come back, and nothing is lost', async () => {
  scene = await Scene.set({ settings: { SERVER__RETRY_SPREAD_MS: '50' } })
  const client = scene.client()
  const courses = watch(client.live<Course>('courses'))
  await courses.shows('title', [])
  await scene.gateway.end('SIGTERM')
  await until('the page to know', () => client.connection.get().state !== 'live')
  expect(client.connection.get().reason).toBeTruthy()
  await insert(['a'])
  await scene.gateway.restart()
  await courses.shows('title', ['a'])
})

describe.each(['websocket', 'sse', 'poll'] as const)('over %s', (transport) => {
  test('a page says when the database is away, and at once when it is back', async () => {
    cluster = await Cluster.start()
    // The heartbeat of everyday: fifteen seconds.
    scene = await Scene.set({ port: cluster.port })
    const client = scene.client({ transport, staleAfterMs: 1_000 })
    const courses = watch(client.live<Course>('courses'))
    await insert(['a'])
    await courses.shows('title', ['a'])
    await cluster.crash()
    // A poll that waits is answered first.
    const patienceMs = transport === 'poll' ? 30_000 : 10_000
    const isStale = (): boolean => client.connection.get().state === 'stale'
    await until('the page to say that it is stale', isStale, patienceMs)
    expect(client.connection.get().reason).toBe('the gateway is behind the database')
    await until('the set to say so too', () => courses.set.get().status === 'stale')
    expect(courses.set.get().rows).toMatchObject([{ title: 'a' }])
    await cluster.restart()
    const isLive = (): boolean => client.connection.get().state === 'live'
    await until('the page to say that it is live', isLive, 6_000)
    await until('the set to say so too', () => courses.set.get().status === 'live')
    await insert(['b'])
    await courses.shows('title', ['a', 'b'])
  })
})

test('a gateway that falls silent is noticed, left, and found again', async () => {
  scene = await Scene.set({ settings: { SERVER__HEARTBEAT_MS: '200' } })
  const client = scene.client()
  const states: ConnectionState[] = []
  client.connection.subscribe(() => states.push(client.connection.get().state))
  const courses = watch(client.live<Course>('courses'))
  await courses.shows('title', [])
  await scene.gateway.freeze()
  await until('silence to be noticed', () => states.includes('stale'))
  await until('it to be left', () => client.connection.get().state === 'connecting')
  await insert(['a'])
  scene.gateway.thaw()
  await courses.shows('title', ['a'])
})

test('a page says why it waits, and until when', async () => {
  scene = await Scene.set()
  const client = scene.client()
  watch(client.live('courses'))
  await live(client)
  await scene.gateway.end('SIGKILL')
  await until('attempts to fail', () => client.connection.get().state === 'offline')
  const { reason, retryAt } = client.connection.get()
  expect(reason).toBeTruthy()
  expect(retryAt).toBeGreaterThan(Date.now() - 1000)
})

test('rows stay on the screen through an outage, marked as stale', async () => {
  scene = await Scene.set()
  await insert(['a'])
  const courses = watch(scene.client().live<Course>('courses'))
  await courses.shows('title', ['a'])
  await scene.gateway.end('SIGKILL')
  await until('the set to be stale', () => courses.set.get().status === 'stale')
  expect(courses.set.get().rows).toHaveLength(1)
})

test('a closed client lets go and stays closed', async () => {
  scene = await Scene.set()
  const client = scene.client()
  watch(client.live('courses'))
  await live(client)
  client.close()
  await until('the gateway to notice', async () => (await scene.metric('pgfeed_connections')) === 0)
  watch(client.live('courses', { filter: 'id=eq.1' }))
  expect(client.connection.get()).toMatchObject({ state: 'closed', retryAt: null })
})

test('a connection that nobody uses any more is given back', async () => {
  scene = await Scene.set()
  const client = scene.client()
  const courses = watch(client.live('courses'))
  await live(client)
  courses.leave()
  await until('the connection to end', async () => (await scene.metric('pgfeed_connections')) === 0)
  const again = watch(client.live<Course>('courses'))
  await insert(['a'])
  await again.shows('title', ['a'])
})
