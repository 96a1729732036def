import { expect, test } from 'vitest'
import { EventLines } from '../../src/sse.js'

function read(chunks: readonly string[]): [string | undefined, string][] {
  const events: [string | undefined, string][] = []
  const lines = new EventLines((id, data) => events.push([id, data]))
  for (const chunk of chunks) lines.push(chunk)
  return events
}

const STREAM = 'data:{"a":1}\n\nid:c1\n\nid: c2\ndata: {"b":2}\n\n: comment\n\nretry: 250\n\n'

test('messages and cursors are told apart, with or without the space', () => {
  expect(read([STREAM])).toEqual([
    [undefined, '{"a":1}'],
    ['c1', ''],
    ['c2', '{"b":2}'],
  ])
})

test('it does not matter where the network cuts', () => {
  for (let at = 1; at < STREAM.length; at += 1) {
    expect(read([STREAM.slice(0, at), STREAM.slice(at)])).toEqual(read([STREAM]))
  }
  expect(read([STREAM.replaceAll('\n', '\r\n')])).toEqual(read([STREAM]))
})

test('what only some languages take for the end of a line stays inside one', () => {
  const text = '{"a":"\u2028\u2029\u0085"}'
  expect(read([`data:${text}\n\n`])).toEqual([[undefined, text]])
})

test('the time to come back is kept', () => {
  const lines = new EventLines(() => undefined)
  lines.push(STREAM)
  expect(lines.retryMs).toBe(250)
})
