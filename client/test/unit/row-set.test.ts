import { describe, expect, test } from 'vitest'
import { RowSet } from '../../src/row-set.js'
import type { Change, Effect, Row } from '../../src/wire.js'

const KEY = ['id']

function change(effect: Effect, row: Row, extra: Partial<Change> = {}): Change {
  return {
    type: 'change',
    schema: 'public',
    table: 't',
    operation: 'UPDATE',
    effect,
    key: 'id' in row ? { id: row['id'] } : {},
    ...(effect === 'enter' || effect === 'update' ? { data: row } : {}),
    ...extra,
  }
}

function set(...rows: Row[]): RowSet {
  const it = new RowSet([])
  it.replace(rows, KEY)
  return it
}

describe('a set kept by effect', () => {
  test('takes rows in, changes them, and lets them go', () => {
    const it = set({ id: 2, v: 'b' }, { id: 1, v: 'a' })
    it.apply([
      change('enter', { id: 3, v: 'c' }),
      change('update', { id: 1, v: 'A' }),
      change('leave', { id: 2 }),
    ])
    expect(it.rows()).toEqual([
      { id: 1, v: 'A' },
      { id: 3, v: 'c' },
    ])
  })

  test('follows a primary key that changes', () => {
    const it = set({ id: 1, v: 'a' })
    it.apply([change('leave', { id: 1 }), change('enter', { id: 9, v: 'a' })])
    expect(it.rows()).toEqual([{ id: 9, v: 'a' }])
  })

  test('is empty after a TRUNCATE', () => {
    const it = set({ id: 1 }, { id: 2 })
    it.apply([change('clear', {}), change('enter', { id: 5 })])
    expect(it.rows()).toEqual([{ id: 5 }])
  })

  test('keeps what it knows of a row too large to be sent', () => {
    const it = set({ id: 1, v: 'a' })
    it.apply([{ ...change('leave', { id: 1 }), effect: 'update', oversize: true }])
    expect(it.rows()).toEqual([{ id: 1, v: 'a' }])
  })

  test('keeps the identity of rows and array where nothing changed', () => {
    const it = set({ id: 1 }, { id: 2 })
    const before = it.rows()
    it.apply([])
    expect(it.rows()).toBe(before)
    it.apply([change('update', { id: 2, v: 1 })])
    expect(it.rows()).not.toBe(before)
    expect(it.rows()[0]).toBe(before[0])
  })

  test('tells a number from its digits in a key', () => {
    const it = new RowSet([])
    it.replace([{ id: 1 }, { id: '1' }], KEY)
    expect(it.rows()).toHaveLength(2)
  })
})
