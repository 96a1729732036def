import { afterEach, expect, test, vi } from 'vitest'
import { backoffMs } from '../../src/backoff.js'

afterEach(() => {
  vi.restoreAllMocks()
})

function of(attempt: number, random: number): number {
  vi.spyOn(Math, 'random').mockReturnValue(random)
  return backoffMs(attempt)
}

test('the bound doubles with each attempt and stops growing at half a minute', () => {
  const bounds = [0, 1, 2, 3, 4, 5, 6, 7, 50].map((attempt) => of(attempt, 1))
  expect(bounds).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
})

test('the delay lies anywhere between nothing and the bound', () => {
  expect(of(4, 0)).toBe(0)
  expect(of(4, 0.25)).toBe(2000)
})
