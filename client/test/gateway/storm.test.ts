import { afterEach, expect, test } from 'vitest'
import { Scene, live, watch } from '../support/scene.js'
import type { Course } from '../support/scene.js'
import { until } from '../support/until.js'

const ROUNDS = 6
const WRITES_A_ROUND = 60

let scene: Scene
afterEach(() => scene.strike())

/** Numbers that look random and are the same each time. */
function dice(seed: number): (sides: number) => number {
  let state = seed
  return (sides) => {
    state = (state * 1103515245 + 12345) % 2147483648
    return Math.floor((state / 2147483648) * sides)
  }
}

function statement(roll: (sides: number) => number): string {
  const id = String(1 + roll(40))
  const status = roll(2) === 0 ? 'DRAFT' : 'PUBLISHED'
  const choices = [
    `insert into courses (title, status) values ('n', '${status}')`,
    `update courses set status = '${status}', seats = ${String(roll(100))} where id = ${id}`,
    `delete from courses where id = ${id}`,
  ]
  return choices[roll(choices.length)] ?? ''
}

test('after a storm with killed gateways a page shows what the database has', async () => {
  scene = await Scene.set()
  const client = scene.client()
  const ids: string[] = []
  client.table<Course>('courses').subscribe((event) => {
    ids.push(event.type === 'change' ? `${event.id ?? ''} ${event.effect}` : event.reason)
  })
  const published = watch(client.live<Course>('courses', { filter: 'status=eq.PUBLISHED' }))
  const roll = dice(7)
  await live(client)
  for (let round = 0; round < ROUNDS; round += 1) {
    const writes = Array.from({ length: WRITES_A_ROUND }, () => scene.sql(statement(roll)))
    const ending = round % 2 === 0 ? scene.gateway.end('SIGKILL') : Promise.resolve()
    await Promise.all([...writes, ending])
    if (round % 2 === 0) await scene.gateway.restart()
  }
  const rows = await scene.sql<{ id: string }>(
    "select id::text from courses where status = 'PUBLISHED' order by courses.id",
  )
  await published.shows(
    'id',
    rows.map((row) => Number(row.id)),
  )
  await scene.sql("insert into courses (title) values ('last')")
  await until('the last change', () => ids.length > 0 && client.connection.get().state === 'live')
  const [log] = await scene.sql<{ n: string }>('select count(*) as n from pgfeed.log')
  await until('every change', () => ids.length >= Number(log?.n))
  expect(new Set(ids).size).toBe(ids.length)
  expect(ids.length).toBe(Number(log?.n))
}, 120_000)
