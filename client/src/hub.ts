import { backoffMs } from './backoff.js'
import { LATER_MS } from './codes.js'
import { Connection } from './connection.js'
import type { ConnectionHandlers, ConnectionOptions } from './connection.js'
import type { Subscription } from './subscription.js'
import type { EndReason, ErrorCode, ServerMessage, SubscriptionMessage } from './wire.js'

/** How long a connection that nobody uses stays, for the next page to find. */
const IDLE_MS = 5_000

/**
 * Where one connection and its subscriptions meet: asks for them, and sorts what comes. A gateway
 * allows a hundred on a connection, so they are looked through, not indexed.
 */
export class Hub implements ConnectionHandlers {
  readonly connection: Connection
  readonly #subscriptions: Set<Subscription> = new Set<Subscription>()
  #lastId = 0
  #idle: ReturnType<typeof setTimeout> | undefined

  constructor(options: ConnectionOptions) {
    this.connection = new Connection(options, this)
  }

  onOpen(): void {
    this.#each(this.#ask)
  }

  onLost(): void {
    this.#each((one) => {
      one.lost()
    })
  }

  onIdentity(): void {
    this.#each((one) => {
      one.renew()
    })
  }

  add(subscription: Subscription): void {
    this.#subscriptions.add(subscription)
    clearTimeout(this.#idle)
    this.#ask(subscription)
    this.connection.want(true)
  }

  /** Takes it off; with the last one the connection goes too, a little later. */
  remove(subscription: Subscription): void {
    clearTimeout(subscription.retry)
    this.#subscriptions.delete(subscription)
    if (subscription.id !== null) this.connection.link?.unsubscribe(subscription.id)
    if (this.#subscriptions.size > 0) return
    this.#idle = setTimeout(() => {
      this.connection.want(false)
    }, IDLE_MS)
  }

  #each(work: (subscription: Subscription) => void): void {
    this.#subscriptions.forEach(work)
  }

  /** Each time under a new name, so that a late answer to an old one meets nobody. */
  readonly #ask = (subscription: Subscription): void => {
    const { link } = this.connection
    clearTimeout(subscription.retry)
    if (!link || subscription.remedy === 'never') return
    this.#lastId += 1
    link.subscribe(subscription.ask(String(this.#lastId)))
  }

  onMessage(message: ServerMessage): void {
    switch (message.type) {
      case 'change': {
        const { topic, sub, ...change } = message
        this.#each((one) => {
          const isMeant = sub === undefined ? one.isOn(topic) : one.id === sub
          if (isMeant) one.change(change)
        })
        return
      }
      case 'cursor':
        this.#each((one) => {
          const isMeant = message.id === undefined ? one.state === 'live' : one.id === message.id
          if (isMeant) one.commit(message.cursor, !message.partial)
        })
        return
      case 'heartbeat':
        this.#each((one) => {
          const isMeant = message.id === undefined || one.id === message.id
          if (isMeant && message.cursor !== undefined) one.advance(message.cursor)
        })
        return
      case 'authenticated':
        this.#each((one) => {
          if (one.state !== 'refused') return
          // What is bad to one reader, as a filter on a hidden column, may be good to another.
          one.remedy = null
          this.#ask(one)
        })
        return
      case 'error':
        this.#refuse(message.id, message.code, message.message)
        return
      case 'unsubscribed':
        if (message.reason) this.#refuse(message.id, message.reason, 'ended')
        return
      default: {
        // What is about the connection has no id.
        const about = message as SubscriptionMessage
        this.#each((one) => {
          if (one.id === about.id) one.receive(about)
        })
      }
    }
  }

  #refuse(id: string | undefined, code: ErrorCode | EndReason, message: string): void {
    this.#each((one) => {
      if (one.id !== id) return
      const remedy = one.refuse(code, message)
      // It may still run: a lane whose rows have another shape does.
      if (remedy === 'afresh' && id) this.connection.link?.unsubscribe(id)
      if (one.state === 'refused') return
      // What is gone for longer than a migration takes may stay so: it is asked for seldom.
      const failures = remedy === 'gone' && code !== 'table_unwatched' ? 9 : 3
      const waitMs = remedy === 'afresh' ? backoffMs(0) : LATER_MS + backoffMs(failures)
      one.retry = setTimeout(this.#ask, waitMs, one)
    })
  }
}
