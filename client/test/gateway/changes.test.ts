import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { TableEvent } from '../../src/index.js'
import { Scene, brief, live } from '../support/scene.js'
import type { Course } from '../support/scene.js'
import { until } from '../support/until.js'

let scene: Scene
beforeEach(async () => {
  scene = await Scene.set()
})
afterEach(() => scene.strike())

describe.each(['websocket', 'sse', 'poll'] as const)('over %s', (transport) => {
  test('a callback hears each change, those of a transaction together', async () => {
    const client = scene.client({ transport })
    const heard: string[] = []
    const sizes: number[] = []
    client.table<Course>('courses').subscribe((event, index, together) => {
      heard.push(brief(event))
      if (index === 0) sizes.push(together.length)
    })
    await live(client)
    await scene.transaction(
      "insert into courses (title) values ('a')",
      "insert into courses (title) values ('b')",
      "update courses set title = 'B' where title = 'b'",
    )
    await until('three changes', () => heard.length === 3)
    await scene.sql("delete from courses where title = 'a'")
    await until('the fourth', () => heard.length === 4)
    expect(heard).toEqual(['enter a', 'enter b', 'update B', 'leave a'])
    expect(sizes).toEqual([3, 1])
  })
})

test('an iterator gives changes until it is left', async () => {
  const client = scene.client()
  const heard: string[] = []
  const done = (async () => {
    for await (const event of client.table<Course>('courses')) {
      heard.push(brief(event))
      if (heard.length === 2) break
    }
  })()
  await live(client)
  await scene.sql("insert into courses (title) values ('a'), ('b'), ('c')")
  await done
  expect(heard).toEqual(['enter a', 'enter b'])
  await until(
    'the subscription to end',
    async () => (await scene.metric('pgfeed_subscriptions')) === 0,
  )
})

test('only the operations asked for come', async () => {
  const client = scene.client()
  const heard: string[] = []
  const push = (event: TableEvent<Course>): number => heard.push(brief(event))
  client.table<Course>('courses', { events: ['DELETE'] }).subscribe(push)
  await live(client)
  await scene.sql("insert into courses (title) values ('a')")
  await scene.sql('delete from courses')
  await until('the change', () => heard.length > 0)
  expect(heard).toEqual(['leave a'])
})

test('those who ask for the same share a subscription, the last closes it', async () => {
  const client = scene.client()
  const counts = [0, 0, 0]
  const leaves = counts.map((_, n) =>
    client.table('courses').subscribe(() => {
      counts[n] = (counts[n] ?? 0) + 1
    }),
  )
  client.table('courses', { filter: 'id=gt.0' }).subscribe(() => undefined)
  await live(client)
  await until('two subscriptions', async () => (await scene.metric('pgfeed_subscriptions')) === 2)
  await scene.sql("insert into courses (title) values ('a')")
  await until('all to hear', () => counts.every((count) => count === 1))
  for (const leave of leaves) leave()
  await until('one subscription', async () => (await scene.metric('pgfeed_subscriptions')) === 1)
  expect(await scene.metric('pgfeed_connections')).toBe(1)
})

test('a callback that throws costs nobody else a change', async () => {
  const client = scene.client()
  const mistakes: unknown[] = []
  const keep = (error: unknown): number => mistakes.push(error)
  const others = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException').on('uncaughtException', keep)
  try {
    const heard: string[] = []
    client.table<Course>('courses').subscribe(() => {
      throw new Error('a mistake of the page')
    })
    client.table<Course>('courses').subscribe((event) => heard.push(brief(event)))
    await live(client)
    await scene.sql("insert into courses (title) values ('a'), ('b')")
    await until('both changes', () => heard.length === 2)
    await until('both mistakes to be told', () => mistakes.length === 2)
  } finally {
    process.removeAllListeners('uncaughtException')
    for (const one of others) process.on('uncaughtException', one)
  }
})

test('a table that may not be read is refused to callback and iterator', async () => {
  const client = scene.client()
  const codes: string[] = []
  client.table('nothing').subscribe(
    () => undefined,
    (error) => codes.push(error?.code ?? 'recovered'),
  )
  await until('the refusal', () => codes.length === 1)
  expect(codes[0]).toMatch(/forbidden|unauthorized/)
  const iterate = async (): Promise<void> => {
    for await (const event of client.table('nothing')) expect(event).toBeUndefined()
  }
  await expect(iterate()).rejects.toThrow(/nothing/)
})

test('a bad filter is refused with its place', async () => {
  const errors: string[] = []
  scene
    .client()
    .table('courses', { filter: 'seats=eq.many' })
    .subscribe(
      () => undefined,
      (error) => errors.push(error?.code ?? 'recovered'),
    )
  await until('the refusal', () => errors.length === 1)
  expect(errors).toEqual(['bad_filter'])
})

test('a hundred subscriptions at once are all made', async () => {
  const client = scene.client()
  const heard = new Set<number>()
  for (let n = 0; n < 100; n += 1) {
    client.table('courses', { filter: `seats=gte.${String(n)}` }).subscribe(() => heard.add(n))
  }
  await until('all of them', async () => (await scene.metric('pgfeed_subscriptions')) === 100)
  await scene.sql("insert into courses (title, seats) values ('a', 1000)")
  await until('all to hear', () => heard.size === 100)
})
