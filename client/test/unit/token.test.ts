import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { refreshInMs, subjectOf } from '../../src/token.js'
import { TokenKeeper } from '../../src/token-keeper.js'

function jwt(claims: object): string {
  const body = Buffer.from(JSON.stringify(claims)).toString('base64url')
  return `e30.${body}.signature`
}

test('a token is renewed before it ends: a fifth of its time, at most half a minute', () => {
  expect(refreshInMs(jwt({ exp: 100 }), 0)).toBe(80_000)
  expect(refreshInMs(jwt({ exp: 3600 }), 0)).toBe(3_570_000)
  expect(refreshInMs(jwt({ exp: 1 }), 5_000_000)).toBe(1000)
})

test('what is no token, or tells no end, plans nothing', () => {
  for (const token of [null, '', 'x', 'a.b.c', jwt({}), jwt({ exp: 'soon' })]) {
    expect(refreshInMs(token, 0)).toBeNull()
  }
  expect(subjectOf(jwt({ sub: 'ø-1' }))).toBe(subjectOf(jwt({ sub: 'ø-1' })))
})

describe('a keeper', () => {
  beforeEach(() => {
    vi.useFakeTimers({ now: 0 })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  test('fetches the next token before the one in use ends', async () => {
    const tokens = [jwt({ sub: 'a', exp: 100 }), jwt({ sub: 'a', exp: 200 })]
    const renewed: string[] = []
    const keeper = new TokenKeeper(() => tokens.shift() ?? null, {
      onRenewed: (token) => renewed.push(token),
      onOther: () => expect.unreachable(),
    })
    await keeper.take()
    await vi.advanceTimersByTimeAsync(79_999)
    expect(renewed).toEqual([])
    await vi.advanceTimersByTimeAsync(1)
    expect(renewed).toEqual([jwt({ sub: 'a', exp: 200 })])
    keeper.rest()
  })

  test('says when the token is another person’s', async () => {
    let others = 0
    const keeper = new TokenKeeper(jwt({ sub: 'a' }), {
      onRenewed: () => undefined,
      onOther: () => (others += 1),
    })
    await keeper.take()
    keeper.put(jwt({ sub: 'a', exp: 9 }))
    expect(others).toBe(0)
    keeper.put(jwt({ sub: 'b' }))
    keeper.put(null)
    expect(others).toBe(2)
  })

  test('takes a sign-out for another person, whatever the token said', async () => {
    let others = 0
    const keeper = new TokenKeeper(jwt({ role: 'admin' }), {
      onRenewed: () => undefined,
      onOther: () => (others += 1),
    })
    await keeper.take()
    keeper.put(jwt({ role: 'student' }))
    expect(others).toBe(0)
    for (const none of [null, jwt({}), '']) keeper.put(none)
    expect(others).toBe(3)
  })

  test('fetches no more when it rests, also where a fetch was under way', async () => {
    for (const isFirst of [true, false]) {
      let fetched = 0
      let give: (token: string) => void = () => undefined
      const getToken = (): Promise<string> => {
        fetched += 1
        return new Promise((resolve) => {
          give = resolve
        })
      }
      const handlers = { onRenewed: () => undefined, onOther: () => undefined }
      const keeper = new TokenKeeper(getToken, handlers)
      const taken = keeper.take()
      if (!isFirst) {
        give(jwt({ sub: 'a', exp: Date.now() / 1000 + 100 }))
        await taken
        await vi.advanceTimersByTimeAsync(80_000)
      }
      keeper.rest()
      give(jwt({ sub: 'a', exp: Date.now() / 1000 + 200 }))
      await vi.advanceTimersByTimeAsync(1_000_000)
      expect(fetched).toBe(isFirst ? 1 : 2)
    }
  })

  test('asks again after a source that throws', async () => {
    let fetched = 0
    const getToken = (): string => {
      fetched += 1
      if (fetched === 2) throw new Error('not now')
      return jwt({ sub: 'a', exp: 100 * fetched })
    }
    const renewed: string[] = []
    const keeper = new TokenKeeper(getToken, {
      onRenewed: (token) => renewed.push(token),
      onOther: () => expect.unreachable(),
    })
    await keeper.take()
    await vi.advanceTimersByTimeAsync(99_000)
    expect(renewed).toEqual([jwt({ sub: 'a', exp: 300 })])
    keeper.rest()
  })
})
