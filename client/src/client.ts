import { Events } from './events.js'
import type { OnEvent, OnTableError, TableEvent } from './events.js'
import { Hub } from './hub.js'
import { iterate } from './iterate.js'
import type { ConnectionStatus } from './connection.js'
import type { Transport } from './link.js'
import { LOADING, LiveSet } from './live-set.js'
import type { SetState } from './live-set.js'
import { parseJson } from './json.js'
import { Shared } from './shared.js'
import type { Readable } from './store.js'
import type { Spec } from './subscription.js'
import type { AnyName, RowOf, TableName } from './tables.js'
import type { GetToken } from './token-keeper.js'
import type { Operation, Row } from './wire.js'

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

/** What is wanted of a table. */
export interface TableOptions {
  /** PostgREST's words: `status=eq.PUBLISHED&price=lt.100`. */
  readonly filter?: string
  readonly columns?: readonly string[]
}

export interface EventOptions extends TableOptions {
  /** Only changes that came of these. Default: all. */
  readonly events?: readonly Operation[]
}

export interface LiveOptions extends TableOptions {
  /** Columns, each ascending, or descending with a `-` before it. Default: the primary key. */
  readonly orderBy?: string | readonly string[]
}

/** The changes of a table; nothing is asked of the gateway before it is used. */
export interface TableFeed<R extends object = Row> extends AsyncIterable<TableEvent<R>> {
  /** Calls back with what happens from now on; returns how to stop. */
  subscribe(onEvent: OnEvent<R>, onError?: OnTableError): () => void
}

export interface Client {
  readonly connection: Readable<ConnectionStatus>
  /** Follows a table: what happens, not what is there. */
  table<N extends TableName>(table: N, options?: EventOptions): TableFeed<RowOf<N>>
  table<R extends object = never>(table: AnyName<R>, options?: EventOptions): TableFeed<R>
  /** The rows of a table, kept as the database has them. */
  live<N extends TableName>(table: N, options?: LiveOptions): Readable<SetState<RowOf<N>>>
  live<R extends object = never>(table: AnyName<R>, options?: LiveOptions): Readable<SetState<R>>
  /** After a sign-in or sign-out. Another person's token empties what is held. */
  setToken(token: string | null): void
  /** Ends everything, for good. */
  close(): void
}

export function createClient(options: ClientOptions = {}): Client {
  const hub = new Hub({
    url: baseUrl(options.url),
    token: options.getToken ?? options.token ?? null,
    transport: options.transport ?? 'auto',
    staleAfterMs: options.staleAfterMs ?? 3_000,
    parse: options.parse ?? parseJson,
    WebSocket: (options.WebSocket ?? globalThis.WebSocket) as typeof WebSocket,
    fetch: options.fetch ?? ((input, init) => fetch(input, init)),
  })
  const { status } = hub.connection
  const feeds = new Shared<Events>(hub)
  const sets = new Shared<LiveSet>(hub)
  status.subscribe(() => {
    sets.each((set) => {
      set.refresh()
    })
  })

  function table<R extends object>(name: string, wish: EventOptions = {}): TableFeed<R> {
    const spec = specOf(name, wish)
    const subscribe = (onEvent: OnEvent<R>, onError: OnTableError = complain): (() => void) =>
      feeds.use(
        JSON.stringify(spec),
        spec,
        () => new Events(),
        (events) => events.add(onEvent as unknown as OnEvent, onError),
      )
    return { subscribe, [Symbol.asyncIterator]: () => iterate<R>(name, subscribe) }
  }

  function live<R extends object>(name: string, wish: LiveOptions = {}): Readable<SetState<R>> {
    const spec: Spec = { ...specOf(name, wish), snapshot: true }
    const orderBy = [wish.orderBy ?? []].flat()
    const key = JSON.stringify([spec, orderBy])
    const make = (): LiveSet => new LiveSet(orderBy, () => status.get().state === 'live')
    return {
      get: () => (sets.peek(key)?.get() ?? LOADING) as SetState<R>,
      subscribe: (listener) => sets.use(key, spec, make, (set) => set.subscribe(listener)),
    }
  }

  return {
    connection: status,
    table,
    live,
    setToken: (token) => {
      hub.connection.setToken(token)
    },
    close: () => {
      hub.connection.close('closed by the page')
    },
  }
}

function specOf(table: string, { filter, columns, events }: EventOptions): Spec {
  return { table, filter, columns, events }
}

/** Ends in a slash, so that a path before `ws/` stays. */
function baseUrl(url: string | URL = '/'): URL {
  const here = (globalThis as Partial<typeof globalThis>).location?.href
  const base = new URL(url, here ?? 'http://localhost/')
  if (!base.pathname.endsWith('/')) base.pathname += '/'
  return base
}

function complain(error: { readonly code: string; readonly message: string }): void {
  console.error(`pgfeed: ${error.code}: ${error.message}`)
}
