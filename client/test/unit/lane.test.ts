import { describe, expect, test } from 'vitest'
import { Lane, groupRequests } from '../../src/lane.js'
import type { ServerMessage } from '../../src/wire.js'

test('whole tables that start at one place go together, the others alone', () => {
  const groups = groupRequests([
    { id: '1', table: 'a', snapshot: true },
    { id: '2', table: 'b', snapshot: true },
    { id: '3', table: 'c', snapshot: true, filter: 'x=eq.1' },
    { id: '4', table: 'd', since: 'c1' },
    { id: '5', table: 'e', since: 'c1' },
    { id: '6', table: 'f', events: ['INSERT'] },
  ])
  expect(groups.map((group) => group.map((one) => one.id))).toEqual([
    ['1', '2'],
    ['3'],
    ['4', '5'],
    ['6'],
  ])
})

describe('a lane', () => {
  function lane(): [Lane, ServerMessage[]] {
    const messages: ServerMessage[] = []
    const it = new Lane(
      undefined,
      [
        { id: '1', table: 'a' },
        { id: '2', table: 's.b' },
      ],
      (message) => messages.push(message),
    )
    return [it, messages]
  }

  test('asks for its tables, from where it stands', () => {
    const [it] = lane()
    const base = new URL('wss://gateway.example/live/')
    expect(it.url(base, 'sse').href).toBe(
      'https://gateway.example/live/sse/changes/?table=a&table=s.b',
    )
    it.commit('c1', false)
    expect(it.url(base, 'sse').searchParams.get('since')).toBe('c1')
  })

  test('names what comes as the client does', () => {
    const [it, messages] = lane()
    it.relay({ type: 'live', id: 's.b', cursor: 'c' })
    it.relay({ type: 'cursor', cursor: 'c2' })
    expect(messages).toMatchObject([
      { type: 'live', id: '2' },
      { type: 'cursor', id: '1', cursor: 'c2' },
      { type: 'cursor', id: '2', cursor: 'c2' },
    ])
  })

  test('keeps the topics of two gateways apart', () => {
    const [one, first] = lane()
    const [two, second] = lane()
    const subscribed = {
      type: 'subscribed',
      id: 'a',
      topic: '3',
      shape: '',
      schema: 'public',
      table: 'a',
      key: [],
      columns: [],
      cursor: '',
      live: true,
    } as const
    one.relay(subscribed)
    two.relay(subscribed)
    const topic = (it: ServerMessage | undefined): unknown => it && 'topic' in it && it.topic
    expect(topic(first[0])).not.toEqual(topic(second[0]))
  })
})
