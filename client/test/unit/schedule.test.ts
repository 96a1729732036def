import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { nextFrame } from '../../src/schedule.js'

let frames: Map<number, () => void>

beforeEach(() => {
  vi.useFakeTimers()
  frames = new Map()
  let last = 0
  vi.stubGlobal('requestAnimationFrame', (run: () => void) => {
    last += 1
    frames.set(last, run)
    return last
  })
  vi.stubGlobal('cancelAnimationFrame', (frame: number) => frames.delete(frame))
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

test('a hidden tab, which paints no frames, works by timer and heaps up none', () => {
  let runs = 0
  for (let n = 1; n <= 10; n += 1) {
    nextFrame(() => {
      runs += 1
    })
    vi.advanceTimersByTime(100)
    expect(runs).toBe(n)
  }
  expect(frames.size).toBe(0)
})

test('a tab in view works by frame, once', () => {
  let runs = 0
  nextFrame(() => {
    runs += 1
  })
  for (const run of frames.values()) run()
  vi.advanceTimersByTime(1_000)
  expect(runs).toBe(1)
})
