// @vitest-environment jsdom
import { afterEach, describe, expect, test, vi } from 'vitest'
import { Scene, live } from '../support/scene.js'
import { until } from '../support/until.js'

let scene: Scene
afterEach(async () => {
  vi.restoreAllMocks()
  await scene.strike()
})

/** A page that has tried in vain for a while, and would wait for seconds more. */
async function waiting(): Promise<ReturnType<Scene['client']>> {
  vi.spyOn(Math, 'random').mockReturnValue(0.999)
  scene = await Scene.set()
  const client = scene.client()
  client.table('courses').subscribe(() => undefined)
  await live(client)
  await scene.gateway.end('SIGKILL')
  const left = (): number => (client.connection.get().retryAt ?? 0) - Date.now()
  await until('a long wait', () => left() > 3_000)
  await scene.gateway.restart()
  expect(client.connection.get().state).toBe('offline')
  return client
}

describe('a page that waits tries at once', () => {
  test.each(['online', 'visibilitychange'])('on %s', async (name) => {
    const client = await waiting()
    const target = name === 'online' ? window : document
    target.dispatchEvent(new Event(name, { bubbles: true }))
    await until('it to be live', () => client.connection.get().state === 'live', 2_000)
  })
})

test('a page that went away lets its socket go, and takes it up when it is shown again', async () => {
  scene = await Scene.set()
  const client = scene.client()
  const heard: unknown[] = []
  client.table('courses').subscribe((event) => heard.push(event))
  await live(client)
  window.dispatchEvent(new Event('pagehide'))
  await until('the socket to go', async () => (await scene.metric('pgfeed_connections')) === 0)
  await scene.sql("insert into courses (title) values ('a')")
  window.dispatchEvent(new Event('pageshow'))
  await until('what it missed', () => heard.length === 1)
})

test('a socket that leads nowhere any more is found out when the page wakes', async () => {
  scene = await Scene.set()
  const client = scene.client()
  client.table('courses').subscribe(() => undefined)
  await live(client)
  await scene.gateway.freeze()
  window.dispatchEvent(new Event('online'))
  await until('it to be found out', () => client.connection.get().state !== 'live', 10_000)
  scene.gateway.thaw()
  await live(client)
})
