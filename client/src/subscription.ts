import { remedyFor, type Remedy } from './codes.js'
import type {
  Change,
  EndReason,
  ErrorCode,
  ResyncReason,
  Row,
  SubscribeRequest,
  SubscriptionMessage,
} from './wire.js'

/** What is subscribed to; equal ones are one subscription. */
export type Spec = Omit<SubscribeRequest, 'id' | 'since' | 'shape'>

export interface TableError {
  readonly code: ErrorCode | EndReason | 'no_key'
  readonly message: string
  /** Whether it is being tried again without anyone's doing. */
  readonly retrying: boolean
}

/** What a subscription hands to those who use it. */
export type Delivery =
  | { readonly type: 'snapshot'; readonly rows: readonly Row[]; readonly key: readonly string[] }
  /** `whole` is false inside a very large transaction: more of it follows. */
  | { readonly type: 'changes'; readonly changes: readonly Change[]; readonly whole: boolean }
  | { readonly type: 'resync'; readonly reason: ResyncReason }
  /** `isLive` or `error` changed. */
  | { readonly type: 'status' }

/** Not on the wire, asked for and told what it missed, told what happens, refused. */
export type SubscriptionState = 'waiting' | 'asked' | 'live' | 'refused'

interface Cut {
  readonly cursor: string
  readonly whole: boolean
}

/**
 * One table as one client follows it: where it stands, and what has come since. Does no input or
 * output. Changes are held until a cursor closes them, and handed on together with the step to
 * that cursor; what a lost connection tears off is thrown away and sent again. So each change is
 * handed on once, and memory is bounded by what lies between two cursors.
 */
export class Subscription {
  readonly spec: Spec
  state: SubscriptionState = 'waiting'
  error: TableError | null = null
  /** Its name on the link in use. */
  id: string | null = null
  /** What would lift a refusal. */
  remedy: Remedy | null = null
  /** Where it stands. */
  cursor: string | undefined
  /** When it is asked for again. */
  retry: ReturnType<typeof setTimeout> | undefined
  readonly #deliver: (delivery: Delivery) => void
  /** What its cursor is of: table, columns and grant. Without a cursor it says nothing. */
  #shape: string | undefined
  #topic: string | null = null
  #key: readonly string[] = []
  /** What no cursor has closed yet, once each, as it came. */
  readonly #pending: Map<string, Change> = new Map<string, Change>()
  /** The rows of the snapshot under way; the position that they belong to is not ours before. */
  #rows: Row[] | null = null
  #rowsCut: Cut | null = null
  #torn = false

  constructor(spec: Spec, deliver: (delivery: Delivery) => void) {
    this.spec = spec
    this.#deliver = deliver
  }

  get isLive(): boolean {
    return this.state === 'live' && this.#rows === null
  }

  /** Whether a change by `topic` is its own: only once it has caught up. */
  isOn(topic: string | undefined): boolean {
    return this.state === 'live' && this.#topic === topic
  }

  /** The request that resumes, or that begins with a snapshot where nothing is held. */
  ask(id: string): SubscribeRequest {
    this.#pending.clear()
    this.id = id
    this.#rowsCut = null
    this.#rows = this.spec.snapshot && this.cursor === undefined ? [] : null
    this.#enter('asked')
    return { id, ...this.spec, since: this.cursor, shape: this.cursor && this.#shape }
  }

  receive(message: SubscriptionMessage): void {
    switch (message.type) {
      case 'subscribed':
        this.#pending.clear()
        if (this.#rows) this.#rows = []
        this.#topic = message.topic
        this.#shape = message.shape
        this.#key = message.key
        this.error = this.remedy = null
        this.#moveTo(message.cursor, true)
        // Told its columns anew after a change of the table, a live subscription stays live.
        this.#enter(message.live || this.state === 'live' ? 'live' : 'asked')
        return
      case 'snapshot':
        this.#takeSnapshot(message.rows, message.more)
        return
      case 'live':
        this.commit(message.cursor, true)
        this.#enter('live')
        return
      case 'resync':
        this.void(message.reason)
        if (this.spec.snapshot) this.#rows = []
        this.#moveTo(message.cursor, true)
        this.#enter('live')
        return
    }
  }

  change(change: Change): void {
    // The new key of a row comes under the same id as its old one.
    if (change.id) this.#pending.set(change.id + change.effect, change)
    // Outside the log there is no cursor to wait for.
    else this.#deliver({ type: 'changes', changes: [change], whole: !this.#torn })
  }

  /** Everything up to `cursor` has come. */
  commit(cursor: string, whole: boolean): void {
    this.#moveTo(cursor, whole)
    if (this.#rows === null) this.#flush(whole)
  }

  /** A position told while nothing happened. Never one that would skip what is still held. */
  advance(cursor: string): void {
    if (this.state !== 'live') return
    if (this.#pending.size === 0 && !this.#torn && this.#rows === null) this.cursor = cursor
  }

  /** Forgets the position: what is held was never, or is no longer, what the gateway has. */
  void(reason: ResyncReason): void {
    this.#pending.clear()
    this.#torn = false
    this.cursor = undefined
    this.#deliver({ type: 'resync', reason })
  }

  /** Starts over for another person, to whom what was refused may be open. */
  renew(): void {
    this.error = this.remedy = null
    this.void('identity_changed')
  }

  lost(): void {
    this.id = null
    if (this.state !== 'refused') this.#enter('waiting')
  }

  /** Takes an error and says what to do about it. */
  refuse(code: ErrorCode | EndReason, message: string): Remedy {
    let remedy = remedyFor(code)
    // Until it is back, a table is refused like one that may not be read.
    if (this.remedy === 'gone' && remedy !== 'afresh') remedy = 'gone'
    const retrying = remedy !== 'token' && remedy !== 'never'
    this.remedy = remedy
    this.id = null
    if (remedy === 'afresh') this.void(code === 'bad_cursor' ? 'cursor_expired' : 'shape_changed')
    this.error = { code, message, retrying }
    this.#enter(retrying ? 'waiting' : 'refused')
    return remedy
  }

  #takeSnapshot(rows: readonly Row[], more: boolean): void {
    this.#rows ??= []
    for (const row of rows) this.#rows.push(row)
    if (more) return
    const complete = this.#rows
    const cut = this.#rowsCut
    this.#rows = null
    this.#rowsCut = null
    this.#deliver({ type: 'snapshot', rows: complete, key: this.#key })
    if (cut) this.commit(cut.cursor, cut.whole)
    this.#deliver({ type: 'status' })
  }

  #moveTo(cursor: string, whole: boolean): void {
    if (this.#rows === null) this.cursor = cursor
    else this.#rowsCut = { cursor, whole }
  }

  #flush(whole: boolean): void {
    const changes = [...this.#pending.values()]
    this.#pending.clear()
    if (changes.length === 0 && !(whole && this.#torn)) return
    this.#torn = !whole
    this.#deliver({ type: 'changes', changes, whole })
  }

  #enter(state: SubscriptionState): void {
    this.state = state
    this.#deliver({ type: 'status' })
  }
}
