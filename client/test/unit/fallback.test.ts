import { expect, test } from 'vitest'
import { TransportChoice } from '../../src/fallback.js'

const LOST = { code: 1006, reason: '' }
const DOWN = { ...LOST, isDown: true }

test('a network that breaks WebSockets is served by SSE, one that buffers by long poll', () => {
  const choice = new TransportChoice('auto')
  choice.failed(LOST)
  expect(choice.transport).toBe('websocket')
  choice.failed(LOST)
  expect(choice.transport).toBe('sse')
  choice.failed(LOST)
  expect(choice.transport).toBe('poll')
  choice.failed(LOST)
  expect(choice.transport).toBe('websocket')
})

test('a gateway that is away is waited for over the WebSocket', () => {
  const choice = new TransportChoice('auto')
  choice.failed(LOST)
  choice.failed(LOST)
  choice.failed(DOWN)
  expect(choice.transport).toBe('websocket')
})

test('a transport that could not be tried at all is done without', () => {
  const choice = new TransportChoice('auto')
  choice.failed(LOST)
  choice.failed(LOST)
  choice.failed({ code: 0, reason: 'what it is written in could not be loaded' })
  expect(choice.transport).toBe('websocket')
})

test('a WebSocket that once worked is given up later', () => {
  const choice = new TransportChoice('auto')
  choice.worked()
  for (let i = 0; i < 4; i += 1) choice.failed(LOST)
  expect(choice.transport).toBe('websocket')
  choice.failed(LOST)
  expect(choice.transport).toBe('sse')
})

test('a code of the gateway speaks for the transport, and a wish is kept', () => {
  const choice = new TransportChoice('auto')
  for (let i = 0; i < 9; i += 1) choice.failed({ code: 4401, reason: '' })
  expect(choice.transport).toBe('websocket')
  const fixed = new TransportChoice('poll')
  for (let i = 0; i < 9; i += 1) fixed.failed(LOST)
  expect(fixed.transport).toBe('poll')
})
