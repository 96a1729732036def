import { expect, test } from 'vitest'
import { comparator, compareValues } from '../../src/order.js'

function sorted(columns: readonly string[], rows: Record<string, unknown>[]): unknown[] {
  return rows.sort(comparator(columns)).map((row) => row['id'])
}

test('rows order by each column in turn, a minus turns one round', () => {
  const rows = [
    { id: 1, team: 'b', score: 5 },
    { id: 2, team: 'a', score: 10 },
    { id: 3, team: 'a', score: 9 },
  ]
  expect(sorted(['team', '-score'], rows)).toEqual([2, 3, 1])
})

test('NULL comes after every value, as in PostgreSQL', () => {
  const rows = [{ id: 1, at: null }, { id: 2, at: '2026-01-01' }, { id: 3 }]
  expect(sorted(['at'], rows)).toEqual([2, 1, 3])
})

test('bigints order by value whether they came as numbers or as digits', () => {
  const values = ['9223372036854775807', 7, '9007199254740993', '-9223372036854775808']
  expect(values.sort(compareValues)).toEqual([
    '-9223372036854775808',
    7,
    '9007199254740993',
    '9223372036854775807',
  ])
})

test('text beside digits has one order, whichever two are compared', () => {
  const values = ['b', '9999999999999999', '5', 'a', '10000000000000000', 'x']
  const order = [...values].sort(compareValues)
  for (const [place, value] of order.entries()) {
    for (const later of order.slice(place + 1)) expect(compareValues(value, later)).toBe(-1)
  }
})

test('booleans and equal values have an order too', () => {
  expect(compareValues(false, true)).toBeLessThan(0)
  expect(compareValues({ a: 1 }, { a: 1 })).toBe(0)
})
