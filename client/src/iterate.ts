import type { OnEvent, OnTableError, TableEvent } from './events.js'
import type { ConnectionStatus } from './connection.js'
import type { Readable } from './store.js'
import type { Row } from './wire.js'

/** The reason that `close` of the client gives. */
const CLOSED_BY_PAGE = 'closed by the page'
/** More than this waits for no consumer: it is told to read anew instead. */
const WAITING_MAX = 10_000

/**
 * Callbacks as an async iterator. It ends with the loop or the client, and throws what cannot be
 * lifted by waiting. A consumer too slow for its table gets a `resync` in the place of what it missed.
 */
export async function* iterate<R extends object = Row>(
  table: string,
  subscribe: (onEvent: OnEvent<R>, onError: OnTableError) => () => void,
  connection: Readable<ConnectionStatus>,
): AsyncGenerator<TableEvent<R>, void, undefined> {
  let waiting: TableEvent<R>[] = []
  let failure: Error | null = null
  let wake = (): void => undefined
  const leave = subscribe(
    (event) => {
      if (waiting.length < WAITING_MAX) waiting.push(event)
      else waiting = [{ type: 'resync', table, reason: 'slow_consumer' }]
      wake()
    },
    (error) => {
      if (error && !error.retrying) failure = new Error(`${table}: ${error.code}: ${error.message}`)
      wake()
    },
  )
  const leaveConnection = connection.subscribe(() => {
    wake()
  })
  try {
    for (;;) {
      const events = waiting
      waiting = []
      yield* events
      // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- Set by a callback.
      if (failure) throw failure as Error
      const { state, reason } = connection.get()
      if (state === 'closed') {
        if (reason === CLOSED_BY_PAGE) return
        throw new Error(`${table}: ${String(reason)}`)
      }
      if (waiting.length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    }
  } finally {
    leaveConnection()
    leave()
  }
}
