import { openFeed } from './feed.js'
import type { Feed, OpenFeed, OpenedFeed } from './feed.js'
import { parseJson } from './json.js'
import type { Transport } from './link.js'
import type { GetToken } from './token-keeper.js'

export interface ClientOptions {
  /** The gateway's address, `https://…`, `wss://…` or a path of this site. Default: `/`. */
  readonly url?: string | URL
  /** A JWT, where one is needed. */
  readonly token?: string | null
  /** Or a function that fetches one: before each connection, and again before it ends. */
  readonly getToken?: GetToken
  /** Default `auto`: a WebSocket, and where networks break those, SSE or long poll. */
  readonly transport?: Transport | 'auto'
  /** From which lag of the gateway behind the database on `live` becomes `stale`. */
  readonly staleAfterMs?: number
  /** Reads a message; the default keeps the digits of large integers by making them strings. */
  readonly parse?: (text: string) => unknown
  /** For places without one, such as Node 20. */
  readonly WebSocket?: unknown
  readonly fetch?: typeof fetch
}

export interface Client extends OpenFeed {
  /**
   * A feed that the gateway's settings declare, by its path: `student/7`. It has its own tables and
   * a connection of its own, made when one of them is used. The same path is the same feed.
   */
  feed(path: string): Feed
  /** After a sign-in or sign-out. Another person's token empties what is held. */
  setToken(token: string | null): void
  /** Ends everything, for good. */
  close(): void
}

export function createClient(options: ClientOptions = {}): Client {
  let token = options.getToken ?? options.token ?? null
  let isClosed = false
  const connection = {
    url: baseUrl(options.url),
    transport: options.transport ?? 'auto',
    staleAfterMs: options.staleAfterMs ?? 3_000,
    parse: options.parse ?? parseJson,
    WebSocket: (options.WebSocket ?? globalThis.WebSocket) as typeof WebSocket,
    fetch: options.fetch,
  }
  const opened = new Map<string | undefined, OpenedFeed>()

  function open(path?: string): OpenFeed {
    // After the end no feed is opened any more: all are the one that is closed.
    const name = isClosed ? undefined : path
    const one = opened.get(name) ?? openFeed({ ...connection, token, feed: name })
    opened.set(name, one)
    return one.feed
  }

  return {
    ...open(),
    feed: open,
    setToken: (next) => {
      token = options.getToken ?? next
      opened.forEach((one) => {
        one.connection.setToken(next)
      })
    },
    close: () => {
      isClosed = true
      opened.forEach((one) => {
        one.connection.close('closed by the page')
      })
    },
  }
}

/** Ends in a slash, so that a path before `ws/` stays. */
function baseUrl(url: string | URL = '/'): URL {
  const here = (globalThis as Partial<typeof globalThis>).location?.href
  const base = new URL(url, here ?? 'http://localhost/')
  if (!base.pathname.endsWith('/')) base.pathname += '/'
  return base
}
