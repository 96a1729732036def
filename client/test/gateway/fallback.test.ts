import { afterEach, expect, test } from 'vitest'
import { Proxy } from '../support/proxy.js'
import { Scene, watch } from '../support/scene.js'
import type { Course } from '../support/scene.js'

let scene: Scene
let proxy: Proxy
afterEach(async () => {
  proxy.drop()
  await scene.strike()
})

test('where WebSockets are broken SSE serves, from the same cursor', async () => {
  scene = await Scene.set()
  proxy = await Proxy.before(scene.gateway.port, {})
  const client = scene.client({ url: proxy.url })
  const courses = watch(client.live<Course>('courses'))
  await courses.shows('title', [])
  expect(client.connection.get().transport).toBe('websocket')
  proxy.manners.breaksUpgrades = true
  proxy.cut()
  await scene.sql("insert into courses (title) values ('a')")
  await courses.shows('title', ['a'])
  expect(client.connection.get().transport).toBe('sse')
}, 60_000)

test('where answers are held back too long poll serves', async () => {
  scene = await Scene.set({ settings: { SERVER__HEARTBEAT_MS: '500' } })
  proxy = await Proxy.before(scene.gateway.port, { breaksUpgrades: true, buffers: true })
  const client = scene.client({ url: proxy.url })
  const courses = watch(client.live<Course>('courses'))
  await courses.shows('title', [])
  expect(client.connection.get().transport).toBe('poll')
  await scene.sql("insert into courses (title) values ('a')")
  await courses.shows('title', ['a'])
}, 60_000)
