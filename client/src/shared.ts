import type { Hub } from './hub.js'
import { Subscription } from './subscription.js'
import type { Delivery, Spec } from './subscription.js'

/** Stays a little after its last user: a component that mounts twice, or the next page. */
const LINGER_MS = 1_000

/** What makes something of a subscription for those who use it. */
export interface Sink {
  take(delivery: Delivery, subscription: Subscription): void
}

interface Entry<T> {
  readonly sink: T
  readonly subscription: Subscription
  users: number
  timer: ReturnType<typeof setTimeout> | undefined
}

/** Subscriptions by what they ask: the first user opens one, the last closes it. */
export class Shared<T extends Sink> {
  readonly #hub: Hub
  readonly #entries: Map<string, Entry<T>> = new Map<string, Entry<T>>()

  constructor(hub: Hub) {
    this.#hub = hub
  }

  peek(key: string): T | undefined {
    return this.#entries.get(key)?.sink
  }

  each(work: (sink: T) => void): void {
    for (const { sink } of this.#entries.values()) work(sink)
  }

  /** Joins; returns what `use` returned for leaving, and the letting go, as one. */
  use(key: string, spec: Spec, make: () => T, join: (sink: T) => () => void): () => void {
    const entry = this.#entries.get(key) ?? this.#open(key, spec, make())
    entry.users += 1
    clearTimeout(entry.timer)
    const leave = join(entry.sink)
    let isIn = true
    return () => {
      if (!isIn) return
      isIn = false
      leave()
      entry.users -= 1
      if (entry.users > 0) return
      entry.timer = setTimeout(() => {
        this.#entries.delete(key)
        this.#hub.remove(entry.subscription)
      }, LINGER_MS)
    }
  }

  #open(key: string, spec: Spec, sink: T): Entry<T> {
    const subscription: Subscription = new Subscription(spec, (delivery) => {
      sink.take(delivery, subscription)
    })
    const entry: Entry<T> = { sink, subscription, users: 0, timer: undefined }
    this.#entries.set(key, entry)
    this.#hub.add(subscription)
    return entry
  }
}
