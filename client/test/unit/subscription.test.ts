import { beforeEach, describe, expect, test } from 'vitest'
import { Subscription } from '../../src/subscription.js'
import type { Delivery, Spec } from '../../src/subscription.js'
import type { Change, Subscribed } from '../../src/wire.js'

let delivered: Delivery[]

function subscription(spec: Partial<Spec> = {}): Subscription {
  return new Subscription({ table: 't', ...spec }, (delivery) => {
    if (delivery.type !== 'status') delivered.push(delivery)
  })
}

function subscribed(cursor: string, extra: Partial<Subscribed> = {}): Subscribed {
  return {
    type: 'subscribed',
    id: '1',
    topic: '7',
    shape: 'S',
    schema: 'public',
    table: 't',
    key: ['id'],
    columns: [],
    cursor,
    live: true,
    ...extra,
  }
}

function change(id: string, extra: Partial<Change> = {}): Change {
  return {
    type: 'change',
    schema: 'public',
    table: 't',
    operation: 'INSERT',
    effect: 'enter',
    key: { id },
    data: { id },
    id,
    ...extra,
  }
}

function ids(): string[][] {
  return delivered.map((one) =>
    one.type === 'changes' ? one.changes.map((it) => it.id ?? '') : [],
  )
}

beforeEach(() => {
  delivered = []
})

describe('changes', () => {
  test('are handed on together, and only when a cursor closes them', () => {
    const it = subscription()
    it.ask('1')
    it.receive(subscribed('c0'))
    it.change(change('1'))
    it.change(change('2'))
    expect(delivered).toEqual([])
    it.commit('c1', true)
    expect(ids()).toEqual([['1', '2']])
    expect(it.cursor).toBe('c1')
  })

  test('that a lost connection tore off are sent again and handed on once', () => {
    const it = subscription()
    it.ask('1')
    it.receive(subscribed('c0'))
    it.change(change('1'))
    it.lost()
    expect(it.ask('2')).toMatchObject({ id: '2', since: 'c0', shape: 'S' })
    it.receive(subscribed('c0', { live: false }))
    it.change(change('1'))
    it.change(change('2'))
    it.commit('c1', true)
    expect(ids()).toEqual([['1', '2']])
  })

  test('that come twice between two cursors are handed on once', () => {
    const it = subscription()
    it.ask('1')
    it.receive(subscribed('c0'))
    it.change(change('1'))
    it.change(change('1'))
    it.commit('c1', true)
    expect(ids()).toEqual([['1']])
  })

  test('of a primary key are two under one id', () => {
    const it = subscription()
    it.ask('1')
    it.receive(subscribed('c0'))
    it.change(change('1', { effect: 'leave' }))
    it.change(change('1', { effect: 'enter' }))
    it.commit('c1', true)
    expect(ids()).toEqual([['1', '1']])
  })

  test('of a very large transaction come in parts that say so', () => {
    const it = subscription()
    it.ask('1')
    it.receive(subscribed('c0'))
    it.change(change('1'))
    it.commit('c1', false)
    it.lost()
    expect(it.ask('2').since).toBe('c1')
    it.receive(subscribed('c1', { live: false }))
    it.commit('c2', true)
    expect(delivered).toMatchObject([
      { whole: false, changes: [{ id: '1' }] },
      { whole: true, changes: [] },
    ])
  })

  test('from outside the log are handed on at once', () => {
    const it = subscription()
    it.ask('1')
    it.receive(subscribed('c0'))
    const undurable: Partial<Change> = change('1', { durable: false })
    delete (undurable as { id?: string }).id
    it.change(undurable as Change)
    expect(delivered).toHaveLength(1)
  })
})

describe('a position', () => {
  test('moves with a heartbeat, but never over changes that are still held', () => {
    const it = subscription()
    it.ask('1')
    it.receive(subscribed('c0'))
    it.advance('c1')
    expect(it.cursor).toBe('c1')
    it.change(change('1'))
    it.advance('c2')
    expect(it.cursor).toBe('c1')
  })

  test('is not taken from a snapshot before the last of its rows', () => {
    const it = subscription({ snapshot: true })
    it.ask('1')
    it.receive(subscribed('c0', { live: false }))
    it.receive({ type: 'snapshot', id: '1', rows: [{ id: 1 }], more: true })
    expect(it.cursor).toBeUndefined()
    it.lost()
    expect(it.ask('2').since).toBeUndefined()
    it.receive(subscribed('c1', { live: false }))
    it.receive({ type: 'snapshot', id: '2', rows: [{ id: 1 }], more: true })
    it.receive({ type: 'snapshot', id: '2', rows: [{ id: 2 }], more: false })
    expect(it.cursor).toBe('c1')
    expect(delivered).toEqual([{ type: 'snapshot', rows: [{ id: 1 }, { id: 2 }], key: ['id'] }])
  })

  test('is dropped by a resync, and a snapshot waited for', () => {
    const it = subscription({ snapshot: true })
    it.ask('1')
    it.receive(subscribed('c0', { live: false }))
    it.receive({ type: 'snapshot', id: '1', rows: [], more: false })
    it.receive({ type: 'live', id: '1', cursor: 'c0' })
    it.change(change('1'))
    it.receive({ type: 'resync', id: '1', reason: 'capture_gap', cursor: 'c5' })
    expect(it.isLive).toBe(false)
    it.change(change('2'))
    it.commit('c6', true)
    it.receive({ type: 'snapshot', id: '1', rows: [{ id: 9 }], more: false })
    expect(it.isLive).toBe(true)
    expect(it.cursor).toBe('c6')
    expect(delivered.slice(1)).toMatchObject([
      { type: 'resync', reason: 'capture_gap' },
      { type: 'snapshot', rows: [{ id: 9 }] },
      { type: 'changes', changes: [{ id: '2' }] },
    ])
  })

  test.each(['after subscribed', 'alone'])('told by a resync %s keeps its shape', (when) => {
    const it = subscription()
    it.ask('1')
    it.receive(subscribed('c0', { shape: 'old' }))
    if (when === 'after subscribed') it.receive(subscribed('c0', { shape: 'S' }))
    const shape = when === 'alone' ? 'old' : 'S'
    it.receive({ type: 'resync', id: '1', reason: 'capture_gap', cursor: 'c5' })
    it.lost()
    expect(it.ask('2')).toMatchObject({ since: 'c5', shape })
  })

  test('that was given up takes its shape with it', () => {
    const it = subscription()
    it.ask('1')
    it.receive(subscribed('c0'))
    it.refuse('access_revoked', '')
    expect(it.ask('2')).toMatchObject({ since: undefined, shape: undefined })
  })

  test('that the gateway does not know is asked for afresh', () => {
    const it = subscription()
    it.ask('1')
    it.receive(subscribed('c0'))
    it.lost()
    it.ask('2')
    expect(it.refuse('bad_cursor', '')).toBe('afresh')
    expect(delivered).toEqual([{ type: 'resync', reason: 'cursor_expired' }])
    expect(it.ask('3').since).toBeUndefined()
  })
})

describe('a refusal', () => {
  test('that waiting lifts leaves the subscription waiting', () => {
    const it = subscription()
    it.ask('1')
    expect(it.refuse('unavailable', 'x')).toBe('later')
    expect(it.state).toBe('waiting')
    expect(it.error).toMatchObject({ code: 'unavailable', retrying: true })
    it.ask('2')
    it.receive(subscribed('c0'))
    expect(it.error).toBeNull()
  })

  test('that a token would lift outlives the connection', () => {
    const it = subscription()
    it.ask('1')
    expect(it.refuse('forbidden', 'x')).toBe('token')
    it.lost()
    expect(it.state).toBe('refused')
  })
})
