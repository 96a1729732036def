import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Client } from '../../src/index.js'
import { Proxy } from '../support/proxy.js'
import type { Manners } from '../support/proxy.js'
import { Scene, brief, live } from '../support/scene.js'
import type { Course } from '../support/scene.js'
import { until } from '../support/until.js'

let scene: Scene
let proxy: Proxy
beforeEach(() => {
  // Short waits: a WebSocket that once worked is tried five times before it is given up.
  vi.spyOn(Math, 'random').mockReturnValue(0.05)
})
afterEach(async () => {
  vi.restoreAllMocks()
  proxy.drop()
  await scene.strike()
})

async function behind(manners: Partial<Manners>): Promise<[Client, string[]]> {
  scene = await Scene.set()
  proxy = await Proxy.before(scene.gateway.port, manners)
  const client = scene.client({ url: proxy.url })
  const heard: string[] = []
  client.table<Course>('courses').subscribe((event) => heard.push(brief(event)))
  await live(client)
  return [client, heard]
}

async function insert(title: string): Promise<void> {
  await scene.sql('insert into courses (title) values ($1)', [title])
}

test('where WebSockets break SSE goes on, from the same cursor', async () => {
  const [client, heard] = await behind({})
  await insert('a')
  await until('the change', () => heard.length === 1)
  expect(client.connection.get().transport).toBe('websocket')
  proxy.manners.breaksUpgrades = true
  proxy.cut()
  await insert('b')
  await until('what was missed', () => heard.length === 2)
  expect(client.connection.get().transport).toBe('sse')
  await insert('c')
  await until('the next', () => heard.length === 3)
  expect(heard).toEqual(['enter a', 'enter b', 'enter c'])
})

test('where answers are held back, too, long poll serves', async () => {
  const [client, heard] = await behind({ breaksUpgrades: true, buffers: true })
  expect(client.connection.get().transport).toBe('poll')
  await insert('a')
  await until('the change', () => heard.length === 1)
  await insert('b')
  await until('the next', () => heard.length === 2)
  expect(heard).toEqual(['enter a', 'enter b'])
})

test('a gateway that is away does not cost the page its WebSocket', async () => {
  const [client, heard] = await behind({})
  await scene.gateway.end('SIGKILL')
  await until('attempts to fail', () => client.connection.get().state === 'offline')
  await insert('a')
  await scene.gateway.restart()
  await until('what was missed', () => heard.length === 1)
  await live(client)
  expect(client.connection.get().transport).toBe('websocket')
})
