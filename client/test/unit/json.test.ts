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
