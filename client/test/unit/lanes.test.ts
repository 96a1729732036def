import { expect, test } from 'vitest'
import { endingOf } from '../../src/lanes.js'

function refusal(status: number, retryAfter?: string): Response {
  const headers = retryAfter === undefined ? {} : { 'retry-after': retryAfter }
  return new Response(null, { status, headers })
}

test('who is told when to come back does so, where it is told in seconds', async () => {
  expect(await endingOf(refusal(503, '7'))).toMatchObject({ isDown: true, retryMs: 7_000 })
  const date = 'Sun, 22 Nov 2026 00:00:00 GMT'
  for (const retryAfter of [undefined, date]) {
    expect(await endingOf(refusal(503, retryAfter))).toMatchObject({ retryMs: undefined })
  }
})
