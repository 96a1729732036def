import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Events } from '../../src/events.js'
import { Store } from '../../src/store.js'
import { Subscription } from '../../src/subscription.js'
import { changeOf } from '../support/fake-socket.js'

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

const fail = (): void => {
  throw new Error('a mistake of the page')
}

function subscription(): Subscription {
  return new Subscription({ table: 't' }, () => undefined)
}

test('who leaves at one event hears no more of those that came with it', () => {
  const events = new Events()
  const heard: number[] = []
  const leave = events.add((_, index) => {
    heard.push(index)
    leave()
  }, fail)
  const changes = [changeOf('t', { id: '1' }), changeOf('t', { id: '2' })]
  events.take({ type: 'changes', changes, whole: true }, subscription())
  expect(heard).toEqual([0])
})

test('who throws at an error costs nobody else the news of it', () => {
  const events = new Events()
  const told: unknown[] = []
  events.add(fail, fail)
  events.add(fail, (error) => told.push(error?.code))
  const refused = subscription()
  refused.refuse('forbidden', '')
  events.take({ type: 'status' }, refused)
  expect(told).toEqual(['forbidden'])
  expect(() => vi.runAllTimers()).toThrow('a mistake')
})

test('who throws at a value costs nobody else the news of it', () => {
  const store = new Store(1)
  const told: number[] = []
  store.subscribe(fail)
  store.subscribe(() => told.push(store.get()))
  store.set(2)
  expect(told).toEqual([2])
  expect(() => vi.runAllTimers()).toThrow('a mistake')
})
