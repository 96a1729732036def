import { useMemo, useSyncExternalStore } from 'react'
import type { LiveOptions } from '../feed.js'
import { LOADING } from '../live-set.js'
import type { SetState } from '../live-set.js'
import type { Readable } from '../store.js'
import type { AnyName, RowOf, TableName } from '../tables.js'
import type { Row } from '../wire.js'
import { useFeed } from './provider.js'

export interface UseTableOptions extends LiveOptions {
  /** False asks for nothing, as while a needed id is not known. */
  readonly enabled?: boolean
  /** A declared feed that has the table, `student/7`; not together with `filter` or `columns`. */
  readonly feed?: string | undefined
}

const NOTHING: Readable<SetState<never>> = {
  get: () => LOADING,
  subscribe: () => () => undefined,
}

/** The rows of a table, live. Components that ask for the same share one subscription. */
export function useTable<N extends TableName>(
  table: N,
  options?: UseTableOptions,
): SetState<RowOf<N>>
export function useTable<R extends object = never>(
  table: AnyName<R>,
  options?: UseTableOptions,
): SetState<R>
export function useTable(table: string, options: UseTableOptions = {}): SetState {
  const { enabled = true, feed, ...wish } = options
  const tables = useFeed(feed)
  // Compared by what it says, so that an object written in place is the same each time.
  const key = JSON.stringify([wish.filter, wish.columns, wish.orderBy])
  const set = useMemo<Readable<SetState>>(
    () => (enabled ? tables.live<Row>(table, wish) : NOTHING),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- `key` stands for `wish`.
    [tables, table, enabled, key],
  )
  return useSyncExternalStore(set.subscribe, set.get, serverState)
}

function serverState(): SetState {
  return LOADING
}
