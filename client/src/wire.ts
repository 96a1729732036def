/** A row as PostgreSQL's JSON gives it. An integer beyond 2^53 comes as a string of its digits. */
export type Row = Record<string, unknown>

export type Operation = 'INSERT' | 'UPDATE' | 'DELETE' | 'TRUNCATE'

/** What a change means for the set of rows a subscription is about. */
export type Effect = 'enter' | 'update' | 'leave' | 'clear'

/** One committed change of a row. */
export interface Change<R extends object = Row> {
  readonly type: 'change'
  readonly schema: string
  readonly table: string
  /** What happened in the database. */
  readonly operation: Operation
  /** What it means here: an UPDATE that takes a row out of the filter is a `leave`. */
  readonly effect: Effect
  /** The primary key; empty for a table without one. */
  readonly key: Partial<R>
  /** The row now, or for a DELETE the row that was. Absent where it does not apply. */
  readonly data?: R
  /** The former values of the columns that changed. */
  readonly old?: Partial<R>
  /** Identity of the change, the same on every gateway. Not an order. */
  readonly id?: string
  /** Equal for changes committed together. */
  readonly xid?: string
  /** The database's clock at the write. */
  readonly at?: string
  /** The row was too large to be sent; only its key is here. */
  readonly oversize?: true
  /** False for a change that came by NOTIFY alone and cannot be resumed. */
  readonly durable?: false
}

/** Why rows held from before are void; the last two are this package's own. */
export type ResyncReason =
  | 'cursor_expired'
  | 'history_changed'
  | 'capture_gap'
  | 'shape_changed'
  | 'table_changed'
  | 'identity_changed'
  | 'slow_consumer'

export type ErrorCode =
  | 'bad_message'
  | 'bad_filter'
  | 'bad_cursor'
  | 'unauthorized'
  | 'forbidden'
  | 'not_found'
  | 'duplicate_id'
  | 'too_large'
  | 'too_many_connections'
  | 'too_many_subscriptions'
  | 'too_many_messages'
  | 'unavailable'

export type EndReason = 'access_revoked' | 'table_unwatched'

/** What is asked of one table. What is undefined is not sent. */
export interface SubscribeRequest {
  readonly id: string
  readonly table: string
  readonly events?: readonly Operation[] | undefined
  readonly filter?: string | undefined
  readonly columns?: readonly string[] | undefined
  readonly since?: string | undefined
  readonly shape?: string | undefined
  readonly snapshot?: boolean | undefined
}

export interface Subscribed {
  readonly type: 'subscribed'
  readonly id: string
  readonly topic: string
  readonly shape: string
  readonly schema: string
  readonly table: string
  readonly key: readonly string[]
  readonly columns: readonly { readonly name: string; readonly type: string }[]
  readonly cursor: string
  readonly live: boolean
}

/** A change on the wire: to all live subscriptions of a topic, or to one that catches up. */
export type SentChange = Change & { readonly topic?: string; readonly sub?: string }

/** Messages about one subscription. */
export type SubscriptionMessage =
  | Subscribed
  | {
      readonly type: 'snapshot'
      readonly id: string
      readonly rows: readonly Row[]
      readonly more: boolean
    }
  | { readonly type: 'live'; readonly id: string; readonly cursor: string }
  | {
      readonly type: 'resync'
      readonly id: string
      readonly reason: ResyncReason
      readonly cursor: string
    }

export type ServerMessage =
  | SubscriptionMessage
  | { readonly type: 'unsubscribed'; readonly id: string; readonly reason?: EndReason }
  | SentChange
  | {
      readonly type: 'hello'
      readonly protocol: number
      readonly server: string
      readonly heartbeat_ms: number
    }
  | { readonly type: 'authenticated'; readonly expires_at: string }
  | {
      readonly type: 'cursor'
      readonly cursor: string
      readonly id?: string
      readonly partial?: boolean
    }
  | {
      readonly type: 'heartbeat'
      readonly cursor?: string
      /** Whose cursor it is, where one address has several. */
      readonly id?: string
      readonly at: string
      readonly lag_ms: number
    }
  | {
      readonly type: 'error'
      readonly code: ErrorCode
      readonly message: string
      readonly id?: string
    }
  | { readonly type: 'pong' }
