import { afterEach, expect, test, vi } from 'vitest'
import { Proxy } from '../support/proxy.js'
import { Scene } from '../support/scene.js'
import type { Course } from '../support/scene.js'
import { until } from '../support/until.js'

const ROWS = 3_000
const CUTS = 40

let scene: Scene
let proxy: Proxy
afterEach(async () => {
  vi.restoreAllMocks()
  proxy.drop()
  await scene.strike()
})

test('a wire that is cut anywhere, again and again, costs no change and repeats none', async () => {
  // Comes back at once, so that many cuts take little time.
  vi.spyOn(Math, 'random').mockReturnValue(0)
  scene = await Scene.set()
  const cuts = Array.from({ length: CUTS }, (_, n) => 1_500 + ((n * 7_919) % 60_000))
  proxy = await Proxy.before(scene.gateway.port, { cuts })
  const client = scene.client({ url: proxy.url })
  const ids: number[] = []
  client.table<Course>('courses').subscribe((event) => {
    ids.push(event.type === 'change' ? (event.key.id ?? 0) : NaN)
  })
  await until('it to be live', () => client.connection.get().state === 'live')
  for (let n = 0; n < ROWS; n += 50) {
    await scene.sql("insert into courses (title) select 'row' from generate_series(1, 50)")
  }
  await until('every change', () => ids.length >= ROWS)
  expect(ids).toEqual(Array.from({ length: ROWS }, (_, n) => n + 1))
  expect(proxy.manners.cuts.length).toBeLessThan(CUTS / 2)
})
