import type { ErrorCode, ServerMessage, SubscribeRequest } from './wire.js'

let lanes = 0

/**
 * The subscriptions of one HTTP request. There a subscription is named by its table and a topic by
 * whichever gateway answered, so both are renamed to what the client calls them.
 */
export class Lane {
  readonly #name: string
  readonly #requests: Map<string, SubscribeRequest>
  readonly #onMessage: (message: ServerMessage) => void
  readonly #aborter: AbortController = new AbortController()
  #cursor: string | undefined

  constructor(requests: readonly SubscribeRequest[], onMessage: (message: ServerMessage) => void) {
    lanes += 1
    this.#name = String(lanes)
    this.#requests = new Map(requests.map((request) => [request.table, request]))
    this.#onMessage = onMessage
    this.#cursor = requests[0]?.since
  }

  /** What it carries, from where it stands. */
  get requests(): readonly SubscribeRequest[] {
    return [...this.#requests.values()].map((one) => ({ ...one, since: this.#cursor }))
  }

  get signal(): AbortSignal {
    return this.#aborter.signal
  }

  url(base: URL, path: string): URL {
    const url = new URL(path, base)
    url.protocol = url.protocol.replace('ws', 'http')
    const query = url.searchParams
    const requests = this.requests
    for (const { table } of requests) query.append('table', table)
    const [first] = requests
    if (first?.filter) query.set('filter', first.filter)
    if (first?.columns) query.set('columns', first.columns.join(','))
    if (first?.events) query.set('events', first.events.join(','))
    if (first?.snapshot) query.set('snapshot', 'true')
    if (first?.since !== undefined) query.set('since', first.since)
    return url
  }

  /** Hands a message on under the client's own names. */
  relay(message: ServerMessage): void {
    if (message.type === 'change') {
      const { sub, topic, ...change } = message
      const named = sub === undefined ? { topic: this.#topic(topic ?? '') } : { sub: this.#id(sub) }
      this.#onMessage({ ...change, ...named })
    } else if (message.type === 'cursor') {
      this.commit(message.cursor, message.partial ?? false)
    } else if (message.type === 'heartbeat') {
      // Its cursor is of this lane alone.
      this.#onMessage({ type: 'heartbeat', at: message.at, lag_ms: message.lag_ms })
    } else if (message.type === 'subscribed') {
      const id = this.#id(message.id)
      this.#onMessage({ ...message, id, topic: this.#topic(message.topic) })
      // A cursor in an address comes without its shape, so the comparison is left to us.
      const held = this.#requests.get(message.id)?.shape
      if (held !== undefined && held !== message.shape) {
        this.#onMessage({ type: 'error', code: 'bad_cursor', message: 'other shape', id })
      }
    } else if ('id' in message && message.id) {
      this.#onMessage({ ...message, id: this.#id(message.id) })
    } else {
      this.#onMessage(message)
    }
  }

  /** Everything up to `cursor` has come, to all that it carries. */
  commit(cursor: string, partial: boolean): void {
    this.#cursor = cursor
    for (const { id } of this.#requests.values()) {
      this.#onMessage({ type: 'cursor', id, cursor, partial })
    }
  }

  /** All that it carries has caught up. */
  settle(cursor: string): void {
    this.#cursor = cursor
    for (const { id } of this.#requests.values()) this.#onMessage({ type: 'live', id, cursor })
  }

  refuse(code: ErrorCode, text: string): void {
    for (const { id } of this.#requests.values()) {
      this.#onMessage({ type: 'error', code, message: text, id })
    }
  }

  /** Takes a subscription off, and says whether none is left. */
  leave(id: string): boolean {
    for (const [table, request] of this.#requests) {
      if (request.id === id) this.#requests.delete(table)
    }
    return this.#requests.size === 0
  }

  abort(): void {
    this.#aborter.abort()
  }

  #id(table: string): string {
    return this.#requests.get(table)?.id ?? ''
  }

  #topic(topic: string): string {
    return `${this.#name}/${topic}`
  }
}

/**
 * Puts requests together that one HTTP request can carry: whole tables that start at one place. A
 * browser opens six connections to a host, and the page needs some of them itself.
 */
export function groupRequests(requests: readonly SubscribeRequest[]): SubscribeRequest[][] {
  const groups = new Map<string, SubscribeRequest[]>()
  for (const request of requests) {
    const isWhole = !request.filter && !request.columns && !request.events
    const name = isWhole ? `${String(request.snapshot)} ${request.since ?? ''}` : `#${request.id}`
    const group = groups.get(name)
    if (group) group.push(request)
    else groups.set(name, [request])
  }
  return [...groups.values()]
}
