import { guard } from './guard.js'
import type { Delivery, Subscription, TableError } from './subscription.js'
import type { Change, ResyncReason, Row } from './wire.js'

/** Changes were or may have been missed: whatever was built from this table is to be read anew. */
export interface Resync {
  readonly type: 'resync'
  readonly table: string
  readonly reason: ResyncReason
}

export type TableEvent<R extends object = Row> = Change<R> | Resync

/** Called like `Array.forEach`: the events that came together are told one by one. */
export type OnEvent<R extends object = Row> = (
  event: TableEvent<R>,
  index: number,
  together: readonly TableEvent<R>[],
) => void

/** Called with why a table cannot be followed, and with null when it is followed again. */
export type OnTableError = (error: TableError | null) => void

interface User {
  readonly onEvent: OnEvent
  readonly onError: OnTableError
}

/** Tells the users of one subscription what happens in its table. */
export class Events {
  readonly #users: Set<User> = new Set<User>()
  #error: TableError | null = null

  add(onEvent: OnEvent, onError: OnTableError): () => void {
    const user = { onEvent, onError }
    this.#users.add(user)
    if (this.#error) onError(this.#error)
    return () => this.#users.delete(user)
  }

  take(delivery: Delivery, subscription: Subscription): void {
    if (delivery.type === 'changes') this.#tell(delivery.changes)
    else if (delivery.type === 'resync') {
      this.#tell([{ type: 'resync', table: subscription.spec.table, reason: delivery.reason }])
    } else if (subscription.error !== this.#error) {
      const error = (this.#error = subscription.error)
      for (const user of [...this.#users]) {
        guard(() => {
          user.onError(error)
        })
      }
    }
  }

  #tell(events: readonly TableEvent[]): void {
    for (const user of [...this.#users]) {
      events.forEach((event, index) => {
        guard(() => {
          // It may have left at one before.
          if (this.#users.has(user)) user.onEvent(event, index, events)
        })
      })
    }
  }
}
