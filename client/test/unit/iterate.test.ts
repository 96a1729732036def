import { beforeEach, describe, expect, test } from 'vitest'
import { createClient } from '../../src/index.js'
import type { Client } from '../../src/index.js'
import { FakeSocket, changeOf } from '../support/fake-socket.js'
import { until } from '../support/until.js'

let client: Client
let heard: unknown[]

beforeEach(() => {
  FakeSocket.opened.length = 0
  client = createClient({ WebSocket: FakeSocket })
  heard = []
})

async function loop(): Promise<void> {
  for await (const event of client.table('courses')) heard.push(event.type)
}

async function connected(): Promise<FakeSocket> {
  await until('the socket', () => FakeSocket.opened.length === 1)
  const socket = FakeSocket.last
  socket.greet()
  return socket
}

describe('a loop over changes', () => {
  test('ends with the client, after what came before', async () => {
    const ended = loop()
    const socket = await connected()
    socket.snapshot('courses', [])
    socket.tell(changeOf('courses', { id: '1', topic: socket.idOf('courses') }))
    socket.tell({ type: 'cursor', cursor: 'c1' })
    client.close()
    await ended
    expect(heard).toEqual(['change'])
  })

  test('that begins after the end is over at once', async () => {
    client.close()
    await loop()
    expect(FakeSocket.opened).toEqual([])
  })

  test('throws when the gateway ends the connection for good', async () => {
    const ended = loop()
    const socket = await connected()
    socket.end(4400)
    await expect(ended).rejects.toThrow('courses: bad messages')
  })
})
