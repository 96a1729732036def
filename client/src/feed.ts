import type { Connection, ConnectionOptions, ConnectionStatus } from './connection.js'
import { Events } from './events.js'
import type { OnEvent, OnTableError, TableEvent } from './events.js'
import { Hub } from './hub.js'
import { LOADING, LiveSet } from './live-set.js'
import type { SetState } from './live-set.js'
import { Shared } from './shared.js'
import type { Readable } from './store.js'
import type { Spec, TableError } from './subscription.js'
import type { AnyName, RowOf, TableName } from './tables.js'
import type { Operation, Row } from './wire.js'

export interface OrderOptions {
  /** Columns, each ascending, or descending with a `-` before it. Default: the primary key. */
  readonly orderBy?: string | readonly string[]
}

/** What is wanted of a table. */
export interface TableOptions {
  /** PostgREST's words: `status=eq.PUBLISHED&price=lt.100`. */
  readonly filter?: string
  /** For a live set they must hold the primary key. */
  readonly columns?: readonly string[]
}

export interface EventOptions extends TableOptions {
  /** Only changes that came of these. Default: all. */
  readonly events?: readonly Operation[]
}

export interface LiveOptions extends TableOptions, OrderOptions {}

/** The changes of a table; nothing is asked of the gateway before it is used. */
export interface TableFeed<R extends object = Row> extends AsyncIterable<TableEvent<R>> {
  /** Calls back with what happens from now on, and with what is wrong; returns how to stop. */
  subscribe(onEvent: OnEvent<R>, onError?: OnTableError): () => void
}

/** Tables behind one address. Those of a declared feed are what the gateway's settings say. */
export interface Feed {
  readonly connection: Readable<ConnectionStatus>
  /** Follows a table: what happens, not what is there. */
  table<N extends TableName>(table: N): TableFeed<RowOf<N>>
  table<R extends object = never>(table: AnyName<R>): TableFeed<R>
  /** The rows of a table, kept as the database has them. */
  live<N extends TableName>(table: N, options?: OrderOptions): Readable<SetState<RowOf<N>>>
  live<R extends object = never>(table: AnyName<R>, options?: OrderOptions): Readable<SetState<R>>
}

/** The feed on which the page says what it wants of a table. */
export interface OpenFeed extends Feed {
  table<N extends TableName>(table: N, options?: EventOptions): TableFeed<RowOf<N>>
  table<R extends object = never>(table: AnyName<R>, options?: EventOptions): TableFeed<R>
  live<N extends TableName>(table: N, options?: LiveOptions): Readable<SetState<RowOf<N>>>
  live<R extends object = never>(table: AnyName<R>, options?: LiveOptions): Readable<SetState<R>>
}

export interface OpenedFeed {
  readonly feed: OpenFeed
  readonly connection: Connection
}

/** A feed, and the connection that it is to have when one of its tables is used. */
export function openFeed(options: ConnectionOptions): OpenedFeed {
  const hub = new Hub(options)
  const { connection } = hub
  const { status } = connection
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
    return {
      subscribe,
      // Most pages use callbacks, and do not load it.
      async *[Symbol.asyncIterator]() {
        yield* (await import('./lazy.js')).iterate<R>(name, subscribe, status)
      },
    }
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

  return { feed: { connection: status, table, live }, connection }
}

function specOf(table: string, { filter, columns, events }: EventOptions): Spec {
  return { table, filter, columns, events }
}

function complain(error: TableError | null): void {
  if (error) console.error('pgfeed:', error.message)
}
