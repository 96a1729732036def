import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Pace } from '../../src/pace.js'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

test('a hundred messages stay under twenty a second, in order', () => {
  const sent: [number, number][] = []
  const begunAt = Date.now()
  const pace = new Pace((message) => {
    sent.push([(message as { n: number }).n, Date.now() - begunAt])
  })
  for (let n = 0; n < 100; n += 1) pace.send({ n })
  expect(sent).toEqual([])
  pace.start()
  expect(sent).toHaveLength(10)
  vi.advanceTimersByTime(20_000)
  expect(sent.map(([n]) => n)).toEqual([...Array(100).keys()])
  for (const [, at] of sent) {
    expect(sent.filter(([, other]) => other >= at && other < at + 1000).length).toBeLessThan(21)
  }
  expect(vi.getTimerCount()).toBe(0)
})
