import { remedyFor } from './codes.js'
import { RowSet } from './row-set.js'
import { nextFrame } from './schedule.js'
import { Store } from './store.js'
import type { Delivery, Spec, Subscription, TableError } from './subscription.js'
import type { Change, Row } from './wire.js'

/**
 * - `loading`: no rows yet;
 * - `live`: the rows are what the database has, as far as the gateway knows;
 * - `stale`: the rows were right, and are being brought up to date;
 * - `error`: refused; `error` says why.
 */
export type SetStatus = 'loading' | 'live' | 'stale' | 'error'

export interface SetState<R extends object = Row> {
  readonly rows: readonly R[]
  readonly status: SetStatus
  readonly error: TableError | null
}

export const LOADING: SetState<never> = { rows: [], status: 'loading', error: null }

const NO_KEY: TableError = {
  code: 'no_key',
  message: 'no primary key, or none in `columns`',
  retrying: false,
}

/** The rows of a subscription, as a store that tells of changes once a frame. */
export class LiveSet extends Store<SetState> {
  readonly #set: RowSet
  readonly #isConnectionLive: () => boolean
  /** Changes of a transaction that is not whole yet. */
  #held: Change[] = []
  #loaded = false
  #keyless = false
  #subscription: Subscription | null = null

  constructor(orderBy: readonly string[], isConnectionLive: () => boolean) {
    super(LOADING)
    this.#set = new RowSet(orderBy)
    this.#isConnectionLive = isConnectionLive
  }

  /** Also called when the connection's state changes: rows are only as live as it is. */
  readonly refresh = (): void => {
    nextFrame(this.#publish)
  }

  take(delivery: Delivery, subscription: Subscription): void {
    this.#subscription = subscription
    switch (delivery.type) {
      case 'snapshot':
        this.#keyless = isKeyless(delivery.key, subscription.spec)
        this.#held = []
        this.#set.replace(delivery.rows, delivery.key)
        this.#loaded = true
        break
      case 'changes':
        for (const change of delivery.changes) this.#held.push(change)
        if (!delivery.whole || !this.#loaded) return
        this.#set.apply(this.#held)
        this.#held = []
        break
      case 'resync':
        this.#held = []
        // Rows of somebody else must not stay on the screen until the new ones come.
        if (delivery.reason === 'identity_changed') {
          this.#set.replace([], [])
          this.#loaded = false
        }
        break
      case 'status':
    }
    this.refresh()
  }

  readonly #publish = (): void => {
    const before = this.get()
    const error = this.#keyless ? NO_KEY : (this.#subscription?.error ?? null)
    const status = this.#status(error)
    const rows = this.#loaded && status !== 'error' ? this.#set.rows() : LOADING.rows
    if (before.rows === rows && before.status === status && before.error === error) return
    this.set({ rows, status, error })
  }

  #status(error: TableError | null): SetStatus {
    // Rows of a table that is gone are not brought up to date, however often it is asked for.
    if (error && (!error.retrying || remedyFor(error.code) === 'token')) return 'error'
    if (!this.#loaded) return 'loading'
    return this.#subscription?.isLive && this.#isConnectionLive() ? 'live' : 'stale'
  }
}

/** Rows without all of a key would be taken for one another. */
function isKeyless(key: readonly string[], { columns = key }: Spec): boolean {
  return !key.length || key.some((column) => !columns.includes(column))
}
