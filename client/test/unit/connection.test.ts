// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createClient } from '../../src/index.js'
import type { Client, ClientOptions } from '../../src/index.js'
import { FakeSocket } from '../support/fake-socket.js'

let client: Client

function open(options: ClientOptions = {}): Client {
  client = createClient({ WebSocket: FakeSocket, ...options })
  return client
}

function follow(): void {
  client.table('courses').subscribe(
    () => undefined,
    () => undefined,
  )
}

/** Waits for what needs no time: promises that are settled. */
function settle(): Promise<unknown> {
  return vi.advanceTimersByTimeAsync(0)
}

beforeEach(() => {
  vi.useFakeTimers()
  FakeSocket.opened.length = 0
})
afterEach(() => {
  client.close()
  vi.useRealTimers()
})

describe('a page that is shown while its token is fetched', () => {
  test('waits for it', async () => {
    let fetched = 0
    let give: (token: string) => void = () => undefined
    const getToken = (): Promise<string> => {
      fetched += 1
      return new Promise((resolve) => {
        give = resolve
      })
    }
    open({ getToken })
    follow()
    await settle()
    window.dispatchEvent(new Event('pageshow'))
    await settle()
    expect(client.connection.get()).toMatchObject({ state: 'connecting', retryAt: null })
    give('a.b.c')
    await settle()
    expect(fetched).toBe(1)
    expect(FakeSocket.opened).toHaveLength(1)
  })

  test('after a long sleep too', async () => {
    open({ getToken: () => new Promise(() => undefined) })
    follow()
    await settle()
    window.dispatchEvent(new Event('pagehide'))
    vi.setSystemTime(Date.now() + 3_600_000)
    window.dispatchEvent(new Event('pageshow'))
    window.dispatchEvent(new Event('online'))
    expect(client.connection.get()).toMatchObject({ state: 'connecting', retryAt: null })
  })

  test('and counts one that never comes against no transport', async () => {
    let fetched = 0
    const getToken = (): Promise<string> => {
      fetched += 1
      return fetched < 3 ? new Promise(() => undefined) : Promise.resolve('a.b.c')
    }
    open({ getToken })
    follow()
    for (let n = 0; n < 2; n += 1) {
      await settle()
      vi.setSystemTime(Date.now() + 60_000)
      window.dispatchEvent(new Event('pageshow'))
      expect(client.connection.get().state).toBe('offline')
      window.dispatchEvent(new Event('pageshow'))
    }
    await settle()
    expect(FakeSocket.opened).toHaveLength(1)
  })
})
