import { useEffect, useRef, useState } from 'react'
import type { EventOptions } from '../feed.js'
import type { OnEvent } from '../events.js'
import type { TableError } from '../subscription.js'
import type { AnyName, RowOf, TableName } from '../tables.js'
import type { Row } from '../wire.js'
import { useFeed } from './provider.js'

export interface UseTableChangesOptions extends EventOptions {
  /** A declared feed that has the tables; not together with `filter`, `columns` or `events`. */
  readonly feed?: string | undefined
}

type Errors = Readonly<Record<string, TableError | null>>

const NO_ERRORS: Errors = {}

/**
 * Calls back for each change of the tables, and for each `resync`, after which what was built
 * from changes is to be read anew. A callback made anew at each render does not resubscribe.
 * Returns why a table cannot be followed, if so: of several the first.
 */
export function useTableChanges<N extends TableName>(
  tables: readonly N[],
  onChange: OnEvent<RowOf<N>>,
  options?: UseTableChangesOptions,
): TableError | null
export function useTableChanges<R extends object = never>(
  tables: readonly AnyName<R>[],
  onChange: OnEvent<R>,
  options?: UseTableChangesOptions,
): TableError | null
export function useTableChanges(
  tables: readonly string[],
  onChange: OnEvent,
  { feed, ...options }: UseTableChangesOptions = {},
): TableError | null {
  const source = useFeed(feed)
  const [errors, setErrors] = useState(NO_ERRORS)
  const latest = useRef(onChange)
  useEffect(() => {
    latest.current = onChange
  })
  const key = JSON.stringify([tables, options])
  useEffect(() => {
    const [names, wish] = JSON.parse(key) as [string[], EventOptions]
    const call: OnEvent = (...event) => {
      latest.current(...event)
    }
    const leaves = names.map((name) =>
      source.table<Row>(name, wish).subscribe(call, (error) => {
        setErrors((before) => ({ ...before, [name]: error }))
      }),
    )
    return () => {
      setErrors(NO_ERRORS)
      for (const leave of leaves) leave()
    }
  }, [source, key])
  return tables.map((name) => errors[name]).find(Boolean) ?? null
}
