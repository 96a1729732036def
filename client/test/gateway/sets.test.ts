import { afterEach, describe, expect, test, vi } from 'vitest'
import { sign } from '../support/gateway.js'
import { Scene, watch } from '../support/scene.js'
import type { Course } from '../support/scene.js'
import { until } from '../support/until.js'

let scene: Scene
afterEach(async () => {
  vi.restoreAllMocks()
  await scene.strike()
})

describe.each(['websocket', 'sse', 'poll'] as const)('over %s a set', (transport) => {
  test('is the snapshot, and then what becomes of it', async () => {
    scene = await Scene.set()
    await scene.sql("insert into courses (title) values ('Rust'), ('SQL')")
    const courses = watch(scene.client({ transport }).live<Course>('courses'))
    await courses.shows('title', ['Rust', 'SQL'])
    await scene.sql("insert into courses (title) values ('Go')")
    await courses.shows('title', ['Rust', 'SQL', 'Go'])
    await scene.sql("update courses set title = 'C' where title = 'Rust'")
    await courses.shows('title', ['C', 'SQL', 'Go'])
    await scene.sql("delete from courses where title = 'SQL'")
    await courses.shows('title', ['C', 'Go'])
    await scene.sql('truncate courses')
    await courses.shows('title', [])
  })

  test('has text with every separator of lines', async () => {
    scene = await Scene.set()
    const courses = watch(scene.client({ transport }).live<Course>('courses'))
    await courses.shows('title', [])
    const title = 'a\nb\r\nc\u2028d\u2029e'
    await scene.sql('insert into courses (title) values ($1)', [title])
    await courses.shows('title', [title])
  })

  test('with a filter takes in and lets go what an UPDATE moves over its edge', async () => {
    scene = await Scene.set()
    await scene.sql("insert into courses (title, status) values ('Rust', 'DRAFT')")
    const client = scene.client({ transport })
    const wish = { filter: 'status=eq.PUBLISHED', columns: ['id', 'title'] }
    const courses = watch(client.live<Course>('courses', wish))
    await courses.shows('title', [])
    await scene.sql("update courses set status = 'PUBLISHED'")
    await courses.shows('title', ['Rust'])
    expect(courses.set.get().rows).toEqual([{ id: 1, title: 'Rust' }])
    await scene.sql("update courses set status = 'DRAFT'")
    await courses.shows('title', [])
  })
})

test.each(['websocket', 'sse', 'poll'] as const)(
  'over %s one table in two orders is two sets, each right',
  async (transport) => {
    scene = await Scene.set()
    await scene.sql("insert into courses (title) values ('a'), ('b')")
    const client = scene.client({ transport })
    const rising = watch(client.live<Course>('courses', { orderBy: 'title' }))
    const falling = watch(client.live<Course>('courses', { orderBy: '-title' }))
    await rising.shows('title', ['a', 'b'])
    await falling.shows('title', ['b', 'a'])
    await scene.sql("insert into courses (title) values ('c')")
    await rising.shows('title', ['a', 'b', 'c'])
    await falling.shows('title', ['c', 'b', 'a'])
  },
)

test('a set orders by what it was told, ties by key', async () => {
  scene = await Scene.set()
  await scene.sql(
    "insert into courses (title, seats) values ('a', 1), ('b', 9), ('c', 9), ('d', null)",
  )
  const courses = watch(scene.client().live<Course>('courses', { orderBy: ['-seats'] }))
  await courses.shows('title', ['d', 'b', 'c', 'a'])
  await scene.sql("update courses set seats = 10 where title = 'a'")
  await courses.shows('title', ['d', 'a', 'b', 'c'])
})

// Inside one of over 10,000 changes there are positions to resume from, and nothing to show.
test.each(['websocket', 'poll'] as const)(
  'over %s a transaction is seen whole or not at all',
  async (transport) => {
    scene = await Scene.set()
    const courses = watch(scene.client({ transport }).live<Course>('courses'))
    await courses.shows('title', [])
    await scene.sql("insert into courses (title) select 'x' from generate_series(1, 25000)")
    await until('all rows', () => courses.set.get().rows.length === 25_000)
    expect(new Set(courses.seen.map(({ rows }) => rows.length))).toEqual(new Set([0, 25_000]))
  },
)

test('two sets that one transaction changes are told of it in one frame', async () => {
  scene = await Scene.set({
    tables: ['create table a (id int primary key)', 'create table b (id int primary key)'],
    watched: ['a', 'b'],
  })
  const client = scene.client()
  const a = watch(client.live<{ id: number }>('a'))
  const b = watch(client.live<{ id: number }>('b'))
  await a.shows('id', [])
  await b.shows('id', [])
  const differences: number[] = []
  a.set.subscribe(() => {
    queueMicrotask(() => differences.push(a.set.get().rows.length - b.set.get().rows.length))
  })
  for (let id = 1; id <= 20; id += 1) {
    await scene.transaction(
      `insert into a values (${String(id)})`,
      `insert into b values (${String(id)})`,
    )
  }
  await until('all rows', () => a.set.get().rows.length === 20)
  expect(new Set(differences)).toEqual(new Set([0]))
})

test('a set of a table without primary key says that it cannot be', async () => {
  scene = await Scene.set({ tables: ['create table t (v int)'], watched: ['t'] })
  const set = watch(scene.client().live('t'))
  await until('the refusal', () => set.set.get().error?.code === 'no_key')
  expect(set.set.get()).toMatchObject({ rows: [], status: 'error' })
})

test('a set whose columns leave out the key says that they must not', async () => {
  scene = await Scene.set()
  await scene.sql("insert into courses (title) values ('Rust'), ('SQL')")
  const titles = watch(scene.client().live<Course>('courses', { columns: ['title'] }))
  await until('the refusal', () => titles.set.get().status === 'error')
  expect(titles.set.get()).toMatchObject({ rows: [], error: { code: 'no_key' } })
  expect(titles.set.get().error?.message).toContain('`columns`')
})

test('bigint keys beyond 2^53 stay apart', async () => {
  scene = await Scene.set({ tables: ['create table t (id bigint primary key)'], watched: ['t'] })
  await scene.sql('insert into t values (9223372036854775806), (1)')
  const set = watch(scene.client().live<{ id: unknown }>('t'))
  await set.shows('id', [1, '9223372036854775806'])
  await scene.sql('insert into t values (9223372036854775807)')
  await set.shows('id', [1, '9223372036854775806', '9223372036854775807'])
})

test('of a table that was dropped comes back when the table does, however late', async () => {
  // The shortest waits: 5 s each, instead of up to 35.
  vi.spyOn(Math, 'random').mockReturnValue(0)
  const columns = '(id bigint primary key, title text)'
  scene = await Scene.set({ tables: [`create table t ${columns}`], watched: ['t'] })
  await scene.sql("insert into t values (1, 'before')")
  const set = watch(scene.client({ token: sign({ sub: 'ada' }) }).live<{ title: string }>('t'))
  await set.shows('title', ['before'])
  await scene.sql('drop table t')
  await until('the refusal', () => set.set.get().error?.code === 'forbidden', 40_000)
  expect(set.set.get()).toMatchObject({ status: 'error', rows: [] })
  await scene.transaction(`create table t ${columns}`, "insert into t values (1, 'after')")
  await scene.sql("select pgfeed.watch('t')")
  await until('the new rows', () => set.set.get().rows[0]?.title === 'after', 40_000)
  expect(set.set.get()).toMatchObject({ status: 'live', error: null })
})
