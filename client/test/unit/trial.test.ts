import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { openLanes } from '../../src/lanes.js'
import type { Link, LinkHandlers, LinkOptions } from '../../src/link.js'
import { keepTrying } from '../../src/trial.js'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const OPTIONS = {} as LinkOptions

function attempts(): [LinkHandlers[], () => number, (o: LinkOptions, h: LinkHandlers) => Link] {
  const opened: LinkHandlers[] = []
  let closed = 0
  const link = {
    close: () => {
      closed += 1
    },
  } as Link
  const open = (_: LinkOptions, handlers: LinkHandlers): Link => {
    opened.push(handlers)
    return link
  }
  return [opened, () => closed, open]
}

test('a better transport is tried each minute, and taken when it is greeted', () => {
  const [opened, closed, open] = attempts()
  let better = 0
  const handlers = {
    onMessage: () => undefined,
    onEnd: () => undefined,
    onBetter: () => {
      better += 1
    },
  }
  const stop = keepTrying(open, () => OPTIONS, handlers)
  expect(opened).toHaveLength(0)
  vi.advanceTimersByTime(120_000)
  expect(opened).toHaveLength(2)
  // What the first left behind was let go before the second was begun.
  expect(closed()).toBe(1)
  opened[1]?.onMessage({ type: 'pong' })
  expect(better).toBe(1)
  stop()
  vi.advanceTimersByTime(600_000)
  expect(opened).toHaveLength(2)
})

test('a token renewed over the lesser transport is what the better one is tried with', () => {
  const tokens: (string | null)[] = []
  const better = (options: LinkOptions): Link => {
    tokens.push(options.token)
    return { close: () => undefined } as Link
  }
  const options = { transport: 'auto', token: 'first', better } as unknown as LinkOptions
  const handlers = { onMessage: () => undefined, onEnd: () => undefined }
  const link = openLanes(options, handlers, () => new Promise(() => undefined), false)
  vi.advanceTimersByTime(60_000)
  link.authenticate('second')
  vi.advanceTimersByTime(60_000)
  link.close()
  expect(tokens).toEqual(['first', 'second'])
})
