import { afterEach, expect, test } from 'vitest'
import { sign } from '../support/gateway.js'
import { Scene, live, watch } from '../support/scene.js'
import { until } from '../support/until.js'

interface Note {
  readonly id: number
  readonly person: string
  readonly text: string
}

const TABLES = ['create table notes (id int primary key, person text, text text)']
const TOML = `[tables."public.notes"]
read = "authenticated"
rows = "person=eq.{claims.sub}"
`

let scene: Scene
afterEach(() => scene.strike())

const EDITORS_SEE_WHOSE = `[[tables."public.notes".grants]]
read = "anyone"
columns = ["id", "text"]
[[tables."public.notes".grants]]
read = ["editor"]
`

async function set(toml: string = TOML): Promise<void> {
  const settings = { ACCESS__DEFAULT: 'nobody' }
  scene = await Scene.set({ tables: TABLES, watched: ['notes'], toml, settings })
  await scene.sql("insert into notes values (1, 'ada', 'a1'), (2, 'bob', 'b1')")
}

test.each(['websocket', 'sse', 'poll'] as const)(
  'over %s a person sees their own',
  async (transport) => {
    await set()
    const notes = watch(
      scene.client({ transport, token: sign({ sub: 'ada' }) }).live<Note>('notes'),
    )
    await notes.shows('text', ['a1'])
    await scene.sql("insert into notes values (3, 'bob', 'b2'), (4, 'ada', 'a2')")
    await notes.shows('text', ['a1', 'a2'])
  },
)

test('without a token a table is refused, and opens with a sign-in', async () => {
  await set()
  const client = scene.client()
  const notes = watch(client.live<Note>('notes'))
  await until('the refusal', () => notes.set.get().status === 'error')
  expect(notes.set.get().error?.code).toBe('unauthorized')
  client.setToken(sign({ sub: 'ada' }))
  await notes.shows('text', ['a1'])
})

test.each(['websocket', 'sse', 'poll'] as const)(
  'over %s a table that is open to all stays so beside one that needs a sign-in',
  async (transport) => {
    const tables = [...TABLES, 'create table news (id int primary key, text text)']
    const toml = `${TOML}[tables."public.news"]\nread = "anyone"\n`
    scene = await Scene.set({ tables, watched: ['notes', 'news'], toml })
    await scene.sql("insert into notes values (1, 'ada', 'a1')")
    await scene.sql("insert into news values (1, 'n1')")
    const client = scene.client({ transport })
    const notes = watch(client.live<Note>('notes'))
    const news = watch(client.live<Note>('news'))
    await news.shows('text', ['n1'])
    await until('the refusal', () => notes.set.get().error?.code === 'unauthorized')
    await scene.sql("insert into news values (2, 'n2')")
    await news.shows('text', ['n1', 'n2'])
    client.setToken(sign({ sub: 'ada' }))
    await notes.shows('text', ['a1'])
    await news.shows('text', ['n1', 'n2'])
  },
)

test.each([
  ['a sign-in', null],
  ['a new role', sign({ sub: 'ada' })],
])('a filter on a hidden column is refused, and works after %s', async (_, token) => {
  await set(EDITORS_SEE_WHOSE)
  const client = scene.client({ token })
  const notes = watch(client.live<Note>('notes', { filter: 'person=eq.bob' }))
  await until('the refusal', () => notes.set.get().error?.code === 'bad_filter')
  client.setToken(sign({ sub: 'ada', role: 'editor' }))
  await notes.shows('text', ['b1'])
})

test('another person’s token takes the rows of the first off the screen', async () => {
  await set()
  const client = scene.client({ token: sign({ sub: 'ada' }) })
  const notes = watch(client.live<Note>('notes'))
  await notes.shows('text', ['a1'])
  client.setToken(sign({ sub: 'bob' }))
  await notes.shows('text', ['b1'])
  const texts = notes.seen.map(({ rows }) => rows.map((row) => row.text).join())
  expect(texts.slice(texts.indexOf('a1') + 1).filter((text) => text !== 'a1')).toEqual(
    expect.arrayContaining(['', 'b1']),
  )
  client.setToken(null)
  await until('the refusal', () => notes.set.get().status === 'error')
  expect(notes.set.get().rows).toEqual([])
})

test('a token is renewed over the open connection before it ends', async () => {
  await set()
  let fetched = 0
  const getToken = (): Promise<string> => {
    fetched += 1
    return Promise.resolve(sign({ sub: 'ada' }, 4))
  }
  const client = scene.client({ getToken })
  const notes = watch(client.live<Note>('notes'))
  await notes.shows('text', ['a1'])
  const lost: string[] = []
  client.connection.subscribe(() => {
    if (client.connection.get().state !== 'live') lost.push(client.connection.get().reason ?? '')
  })
  await until('three tokens', () => fetched >= 3)
  await scene.sql("insert into notes values (5, 'ada', 'a3')")
  await notes.shows('text', ['a1', 'a3'])
  expect(lost).toEqual([])
})

test('a token that ended is waited for, and the reason told', async () => {
  await set()
  const client = scene.client({ token: sign({ sub: 'ada' }, 2) })
  const notes = watch(client.live<Note>('notes'))
  await notes.shows('text', ['a1'])
  await until('the end of the token', () => client.connection.get().state !== 'live')
  await until('it to be told', () => client.connection.get().reason?.includes('token') ?? false)
  expect(client.connection.get().retryAt).toBeNull()
  await scene.sql("insert into notes values (6, 'ada', 'a4')")
  client.setToken(sign({ sub: 'ada' }))
  await notes.shows('text', ['a1', 'a4'])
})

test('a token that cannot be fetched is asked for again', async () => {
  await set()
  let asked = 0
  const getToken = (): Promise<string> => {
    asked += 1
    return asked < 3
      ? Promise.reject(new Error('no network'))
      : Promise.resolve(sign({ sub: 'ada' }))
  }
  const client = scene.client({ getToken })
  const notes = watch(client.live<Note>('notes'))
  await notes.shows('text', ['a1'])
  await live(client)
  expect(client.connection.get().transport).toBe('websocket')
})
