import { expect, test } from 'vitest'
import { NEXT_STATE, nextState } from '../../src/state.js'
import type { ConnectionEvent, ConnectionState } from '../../src/state.js'

const STATES = [...Object.keys(NEXT_STATE), 'closed'] as ConnectionState[]
const EVENTS = Object.keys(NEXT_STATE.live) as ConnectionEvent[]

function after(start: ConnectionState, ...events: ConnectionEvent[]): ConnectionState {
  return events.reduce(nextState, start)
}

test('only proof of freshness makes a page live', () => {
  for (const state of STATES) {
    for (const event of EVENTS) {
      if (nextState(state, event) === 'live' && state !== 'live') expect(event).toBe('fresh')
    }
  }
})

test('closed is the end', () => {
  for (const event of EVENTS) expect(nextState('closed', event)).toBe('closed')
  for (const state of STATES) expect(nextState(state, 'close')).toBe('closed')
})

test('from every state that is not closed a page can become live again', () => {
  for (const state of STATES) {
    if (state !== 'closed') expect(after(state, 'lost', 'failed', 'failed', 'fresh')).toBe('live')
  }
})

test('an indicator does not flicker while attempts fail', () => {
  expect(after('live', 'lost')).toBe('connecting')
  expect(after('live', 'lost', 'failed')).toBe('offline')
  expect(after('live', 'lost', 'failed', 'failed', 'lost')).toBe('offline')
})
