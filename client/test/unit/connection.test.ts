// @vitest-environment jsdom
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createClient } from '../../src/index.js'
import type { Client, ClientOptions, SetState } from '../../src/index.js'
import { FakeSocket, changeOf } from '../support/fake-socket.js'

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

function token(claims: object): string {
  return `a.${btoa(JSON.stringify(claims))}.c`
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
  // The frame that all sets share, among others.
  vi.runOnlyPendingTimers()
  vi.useRealTimers()
  vi.restoreAllMocks()
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

describe('a WebSocket', () => {
  beforeEach(() => {
    vi.spyOn(Math, 'random').mockReturnValue(0)
  })

  async function miss(): Promise<void> {
    FakeSocket.last.end(1006)
    const { retryAt } = client.connection.get()
    await vi.advanceTimersByTimeAsync((retryAt ?? 0) - Date.now())
  }

  test('is gone back to where the other transports cannot be loaded any more', async () => {
    vi.doMock('../../src/lazy.js', () => {
      throw new Error('404')
    })
    open()
    follow()
    await settle()
    await miss()
    await miss()
    await vi.waitFor(() => {
      expect(FakeSocket.opened).toHaveLength(3)
    })
    vi.doUnmock('../../src/lazy.js')
  })

  test('is not to blame while the browser is offline', async () => {
    vi.spyOn(navigator, 'onLine', 'get').mockReturnValue(false)
    open()
    follow()
    await settle()
    for (let n = 0; n < 7; n += 1) await miss()
    expect(FakeSocket.opened).toHaveLength(8)
  })
})

test('a token that comes while the connection is made with an older one is used at once', async () => {
  open({ token: token({ sub: 'ada', exp: 1 }) })
  follow()
  await settle()
  const [socket] = FakeSocket.opened
  const newer = token({ sub: 'ada', exp: 2 })
  client.setToken(newer)
  client.setToken(newer)
  await settle()
  expect(socket?.isClosed).toBe(true)
  expect(FakeSocket.opened).toHaveLength(2)
  FakeSocket.last.greet()
  expect(FakeSocket.last.protocols).toContain(`bearer.${newer}`)
  expect(FakeSocket.last.idOf('courses')).toBeDefined()
})

describe('a filter on a column that the reader may not see', () => {
  async function refused(first: string | null): Promise<SetState[]> {
    open({ token: first })
    const secret = client.live('courses', { filter: 'secret=eq.1' })
    const states: SetState[] = []
    secret.subscribe(() => states.push(secret.get()))
    await settle()
    const [socket] = FakeSocket.opened
    socket?.greet()
    socket?.tell({
      type: 'error',
      code: 'bad_filter',
      message: 'no column “secret”',
      id: socket.idOf('courses'),
    })
    await vi.advanceTimersByTimeAsync(100)
    expect(states.at(-1)).toMatchObject({ status: 'error', error: { code: 'bad_filter' } })
    return states
  }

  test('is asked for again after a sign-in', async () => {
    const states = await refused(null)
    client.setToken(token({ sub: 'ada' }))
    await settle()
    FakeSocket.opened[1]?.greet()
    expect(FakeSocket.opened[1]?.idOf('courses')).toBeDefined()
    await vi.advanceTimersByTimeAsync(100)
    expect(states.at(-1)).toMatchObject({ status: 'loading', error: null })
  })

  test('is asked for again with a new token of the same reader, and not without', async () => {
    await refused(token({ sub: 'ada' }))
    const [socket] = FakeSocket.opened
    const before = socket?.idOf('courses')
    socket?.end(1001)
    await vi.advanceTimersByTimeAsync(1_000)
    const again = FakeSocket.opened[1]
    again?.greet()
    expect(again?.idOf('courses')).toBeUndefined()
    client.setToken(token({ sub: 'ada', role: 'admin' }))
    again?.tell({ type: 'authenticated', expires_at: '' })
    expect(again?.idOf('courses')).toBeDefined()
    expect(again?.idOf('courses')).not.toBe(before)
  })
})

test('a table that was dropped is asked for until it is back, ever less often', async () => {
  vi.spyOn(Math, 'random').mockReturnValue(0.5)
  open({ token: token({ sub: 'ada' }) })
  const courses = client.live('courses')
  const states: SetState[] = []
  courses.subscribe(() => states.push(courses.get()))
  await settle()
  const socket = FakeSocket.last
  socket.greet()
  const asks = (): number => socket.sent.filter((one) => one['type'] === 'subscribe').length
  socket.snapshot('courses', [{ id: 1 }])
  socket.tell({ type: 'unsubscribed', id: socket.idOf('courses'), reason: 'table_unwatched' })
  await vi.advanceTimersByTimeAsync(8_000)
  expect(asks()).toBe(2)
  for (const count of [3, 4]) {
    const id = socket.idOf('courses')
    socket.tell({ type: 'error', id, code: 'forbidden', message: 'not for you' })
    await vi.advanceTimersByTimeAsync(8_000)
    expect(courses.get()).toMatchObject({
      status: 'error',
      rows: [],
      error: { code: 'forbidden', retrying: true },
    })
    expect(asks()).toBe(count - 1)
    socket.tell({ type: 'heartbeat', at: '', lag_ms: 0 })
    await vi.advanceTimersByTimeAsync(14_000)
    expect(asks()).toBe(count)
    socket.tell({ type: 'heartbeat', at: '', lag_ms: 0 })
  }
  socket.snapshot('courses', [{ id: 2 }])
  await vi.advanceTimersByTimeAsync(100)
  expect(courses.get()).toMatchObject({ status: 'live', rows: [{ id: 2 }], error: null })
  // Back and then refused, it is closed to this reader like any other.
  socket.tell({ type: 'unsubscribed', id: socket.idOf('courses'), reason: 'access_revoked' })
  await vi.advanceTimersByTimeAsync(1_000)
  socket.tell({ type: 'error', id: socket.idOf('courses'), code: 'forbidden', message: '' })
  await vi.advanceTimersByTimeAsync(20_000)
  expect(courses.get()).toMatchObject({ status: 'error', error: { retrying: false } })
  expect(asks()).toBe(5)
})

test('a message that cannot be read is no message skipped: it is asked for again', async () => {
  open()
  const ids: unknown[] = []
  client.table('courses').subscribe((event) => ids.push(event.type === 'change' && event.id))
  await settle()
  const [socket, change] = [FakeSocket.opened[0], changeOf('courses', { topic: '1' })]
  socket?.greet()
  socket?.snapshot('courses', [])
  socket?.tell({ ...change, id: '1' })
  socket?.tell({ type: 'cursor', cursor: 'c1' })
  socket?.say('{"type":"change"')
  socket?.tell({ type: 'cursor', cursor: 'c2' })
  expect(socket?.isClosed).toBe(true)
  expect(client.connection.get()).toMatchObject({ state: 'connecting' })
  expect(client.connection.get().reason).toContain('SyntaxError')
  // All clients of a table got it: they do not come back at one moment.
  const waitMs = (client.connection.get().retryAt ?? 0) - Date.now()
  expect(waitMs).toBeGreaterThan(5_000)
  await vi.advanceTimersByTimeAsync(waitMs)
  const again = FakeSocket.opened[1]
  again?.greet()
  expect(again?.sent.at(-1)).toMatchObject({ type: 'subscribe', since: 'c1' })
  expect(ids).toEqual(['1'])
})
