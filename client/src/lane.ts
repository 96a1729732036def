import type { ErrorCode, ServerMessage, SubscribeRequest } from './wire.js'

let lanes = 0

/** Until the gateway says how often it speaks. */
const HEARTBEAT_MS = 12_000
/** After so many heartbeats that did not come, a lane is no longer fresh, and then given up. */
const STALE_BEATS = 1.5
const GONE_BEATS = 2.5
const LOOK_EVERY_MS = 1_000
/** A table that a feed has is told of before the second heartbeat. */
const BEATS_MAX = 2
/** The connection leaves it to each lane to notice silence: one that speaks hides another. */
const NEVER_MS = 2 ** 31 - 1

/** Settings may write a table with its schema where the page does not. */
function nameOf(table: string): string {
  return table.includes('.') ? table : `public.${table}`
}

/**
 * The subscriptions of one address: of an HTTP request, or of a declared feed. There a subscription
 * is named by its table and a topic by whichever gateway answered, so both are renamed to what the
 * client calls them. Several may ask for one table.
 */
export class Lane {
  /** Says something to the gateway, where the transport can. */
  say: ((message: object) => void) | null = null
  readonly #name: string
  /** None is `changes`. */
  readonly #feed: string | undefined
  readonly #onMessage: (message: ServerMessage) => void
  readonly #aborter: AbortController = new AbortController()
  #requests: readonly SubscribeRequest[]
  #cursor: string | undefined
  /** The tables that were told of, and those of them that have caught up. */
  readonly #told: Set<string> = new Set<string>()
  readonly #live: Set<string> = new Set<string>()
  #beats = 0
  #heartbeatMs: number = HEARTBEAT_MS
  #heardAtMs: number = Date.now()
  #giveUpAtMs: number = Date.now() + HEARTBEAT_MS * GONE_BEATS
  #isOverdue = false
  readonly #watch: ReturnType<typeof setInterval>

  constructor(
    feed: string | undefined,
    requests: readonly SubscribeRequest[],
    onMessage: (message: ServerMessage) => void,
  ) {
    lanes += 1
    this.#name = String(lanes)
    this.#feed = feed
    this.#requests = requests
    this.#onMessage = onMessage
    this.#cursor = requests[0]?.since
    this.#watch = setInterval(() => {
      this.#look()
    }, LOOK_EVERY_MS)
  }

  /** What it carries, from where it stands. */
  get requests(): readonly SubscribeRequest[] {
    return this.#requests.map((one) => ({ ...one, since: this.#cursor }))
  }

  get signal(): AbortSignal {
    return this.#aborter.signal
  }

  url(base: URL, room: 'ws' | 'sse' | 'poll'): URL {
    const words = (this.#feed ?? 'changes').split('/').filter(Boolean)
    const url = new URL(`${room}/${words.map(encodeURIComponent).join('/')}/`, base)
    url.protocol = url.protocol.replace('ws', 'http')
    const query = url.searchParams
    const [first] = this.#requests
    if (this.#feed === undefined) {
      for (const table of new Set(this.#requests.map((one) => one.table))) {
        query.append('table', table)
      }
      if (first?.filter) query.set('filter', first.filter)
      if (first?.columns) query.set('columns', first.columns.join(','))
      if (first?.events) query.set('events', first.events.join(','))
    }
    if (this.#requests.some((one) => one.snapshot)) query.set('snapshot', 'true')
    if (this.#cursor !== undefined) query.set('since', this.#cursor)
    return url
  }

  /** Something came: it is given as long again. */
  heard(): void {
    this.#isOverdue = false
    this.#heardAtMs = Date.now()
    this.#giveUpAtMs = this.#heardAtMs + this.#heartbeatMs * GONE_BEATS
  }

  /** Gives it this long to say something, if it can be asked to. */
  hurry(withinMs: number): void {
    if (!this.say) return
    this.#giveUpAtMs = Math.min(this.#giveUpAtMs, Date.now() + withinMs)
    this.say({ type: 'ping' })
  }

  /** Hands a message on under the client's own names. */
  relay(message: ServerMessage): void {
    switch (message.type) {
      case 'hello':
        this.#heartbeatMs = message.heartbeat_ms
        this.heard()
        this.#onMessage({ ...message, heartbeat_ms: NEVER_MS })
        return
      case 'change': {
        const { sub, topic, ...change } = message
        if (sub === undefined) this.#onMessage({ ...change, topic: this.#topic(topic) })
        else for (const { id } of this.#of(sub)) this.#onMessage({ ...change, sub: id })
        return
      }
      case 'cursor':
        this.commit(message.cursor, message.partial ?? false)
        return
      case 'heartbeat':
        // Its cursor is of this lane alone.
        this.#onMessage({ type: 'heartbeat', at: message.at, lag_ms: message.lag_ms })
        this.#beats += 1
        if (this.#beats >= BEATS_MAX) this.#refuseUntold()
        return
      case 'subscribed':
        this.#told.add(nameOf(message.id))
        if (message.live) this.#live.add(nameOf(message.id))
        for (const { id, shape } of this.#of(message.id)) {
          this.#onMessage({ ...message, id, topic: this.#topic(message.topic) })
          // A cursor in an address comes without its shape, so the comparison is left to us.
          if (shape !== undefined && shape !== message.shape) {
            this.#onMessage({ type: 'error', code: 'bad_cursor', message: 'other shape', id })
          }
        }
        return
      case 'authenticated':
        return
      default:
        this.#relayNamed(message)
    }
  }

  /** The cursor of a socket holds for what is live, or for one that it names. */
  follow(message: {
    readonly cursor: string
    readonly id?: string
    readonly partial?: boolean
  }): void {
    const { cursor, id: table, partial = false } = message
    for (const { id } of this.#followers(table)) {
      this.#onMessage({ type: 'cursor', id, cursor, partial })
    }
  }

  /** The same of one told while nothing happened. */
  advance(message: {
    readonly cursor?: string
    readonly at: string
    readonly lag_ms: number
  }): void {
    for (const { id } of this.#followers()) this.#onMessage({ type: 'heartbeat', ...message, id })
  }

  /** Everything up to `cursor` has come, to all that it carries. */
  commit(cursor: string, partial: boolean): void {
    this.#cursor = cursor
    for (const { id } of this.#requests) this.#onMessage({ type: 'cursor', id, cursor, partial })
  }

  /** All that it carries has caught up. */
  settle(cursor: string): void {
    this.#cursor = cursor
    for (const { id } of this.#requests) this.#onMessage({ type: 'live', id, cursor })
    this.#refuseUntold()
  }

  /** The gateway is there, and does not want it. */
  refuse(code: ErrorCode, text: string): void {
    this.#onMessage({ type: 'hello', protocol: 1, server: '', heartbeat_ms: NEVER_MS })
    this.#onMessage({ type: 'heartbeat', at: '', lag_ms: 0 })
    for (const { id } of this.#requests) {
      this.#onMessage({ type: 'error', code, message: text, id })
    }
  }

  /** Takes a subscription off, and says whether none is left. */
  leave(id: string): boolean {
    this.#requests = this.#requests.filter((one) => one.id !== id)
    return this.#requests.length === 0
  }

  abort(why?: Error): void {
    clearInterval(this.#watch)
    this.#aborter.abort(why)
  }

  #look(): void {
    const silentMs = Date.now() - this.#heardAtMs
    if (Date.now() > this.#giveUpAtMs) {
      // Twice: after the page itself stood still, what came meanwhile is heard first.
      if (this.#isOverdue) this.abort(new Error('the gateway fell silent'))
      this.#isOverdue = true
    } else if (silentMs > this.#heartbeatMs * STALE_BEATS) {
      this.#onMessage({ type: 'heartbeat', at: '', lag_ms: silentMs })
    }
  }

  #relayNamed(message: ServerMessage): void {
    if (!('id' in message)) {
      this.#onMessage(message)
      return
    }
    if (message.type === 'live' || message.type === 'resync') this.#live.add(nameOf(message.id))
    else if (message.type === 'error') this.#told.add(nameOf(message.id))
    for (const { id } of this.#of(message.id)) this.#onMessage({ ...message, id })
  }

  /** A declared feed has its own tables, and does not say that one is not among them. */
  #refuseUntold(): void {
    for (const { id, table, since } of this.#requests) {
      // What has a cursor was told of before, and a poll does not repeat it.
      if (since !== undefined || this.#told.has(nameOf(table))) continue
      const message = `the feed “${this.#feed ?? ''}” has no table “${table}”`
      this.#onMessage({ type: 'error', code: 'not_found', message, id })
    }
  }

  #followers(table?: string): readonly SubscribeRequest[] {
    if (table !== undefined) return this.#of(table)
    return this.#requests.filter((one) => this.#live.has(nameOf(one.table)))
  }

  #of(table: string): readonly SubscribeRequest[] {
    const name = nameOf(table)
    return this.#requests.filter((one) => nameOf(one.table) === name)
  }

  #topic(topic: string | undefined): string {
    return `${this.#name}/${topic ?? ''}`
  }
}

/**
 * Puts requests together that one address can carry: whole tables that start at one place, and of a
 * declared feed all that do. A browser opens six connections to a host, and the page needs some of
 * them itself.
 */
export function groupRequests(
  requests: readonly SubscribeRequest[],
  feed?: string,
): SubscribeRequest[][] {
  const groups = new Map<string, SubscribeRequest[]>()
  for (const request of requests) {
    const name = groupOf(request, feed)
    const group = groups.get(name)
    if (group) group.push(request)
    else groups.set(name, [request])
  }
  return [...groups.values()]
}

function groupOf(request: SubscribeRequest, feed: string | undefined): string {
  if (isNarrow(request)) return `#${request.id}`
  return `${feed === undefined ? String(request.snapshot) : ''} ${request.since ?? ''}`
}

/** Whether it asks for less than a whole table. */
export function isNarrow({ filter, columns, events }: SubscribeRequest): boolean {
  return Boolean(filter ?? columns ?? events)
}
