import { guard } from './guard.js'

export type Listener = () => void

/** What React calls an external store: a value to read and a way to hear that it changed. */
export interface Readable<T> {
  readonly get: () => T
  readonly subscribe: (listener: Listener) => () => void
}

/** A value and those who watch it. */
export class Store<T> implements Readable<T> {
  #value: T
  readonly #listeners: Set<Listener> = new Set<Listener>()

  constructor(value: T) {
    this.#value = value
  }

  readonly get = (): T => this.#value

  set(value: T): void {
    this.#value = value
    for (const listener of [...this.#listeners]) listener()
  }

  readonly subscribe = (listener: Listener): (() => void) => {
    // Wrapped, so that one function subscribed twice is told twice and leaves twice.
    const own = (): void => {
      guard(listener)
    }
    this.#listeners.add(own)
    return () => this.#listeners.delete(own)
  }
}
