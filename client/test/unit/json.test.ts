import { expect, test } from 'vitest'
import { parseJson } from '../../src/json.js'

test('an integer that a number cannot hold keeps its digits', () => {
  const text = '{"id":9007199254740993,"ids":[-12345678901234567890],"small":9007199254740991}'
  expect(parseJson(text)).toEqual({
    id: '9007199254740993',
    ids: ['-12345678901234567890'],
    small: 9007199254740991,
  })
})

test('digits inside text, fractions and exponents are left alone', () => {
  const text = String.raw`{"a":"x \" 12345678901234567890, y","b":0.12345678901234567,"c":1e17}`
  expect(parseJson(text)).toEqual(JSON.parse(text))
})

test('two bigint keys that round to one number stay two', () => {
  const [a, b] = parseJson('[9223372036854775806,9223372036854775807]') as unknown[]
  expect(a).not.toEqual(b)
})

test.each([
  ['letters', 'x'.repeat(20_000_000)],
  ['digits', '1'.repeat(20_000_000)],
  ['escapes', '\\"'.repeat(5_000_000)],
])('a string of 20 MB of %s is read beside a long integer', (_, text) => {
  const id = '9007199254740993'
  const read = parseJson(`{"text":${JSON.stringify(text)},"id":${id}}`) as Record<string, unknown>
  expect(read['id']).toBe(id)
  // Compared without printing megabytes where it fails.
  expect(read['text'] === text).toBe(true)
})
