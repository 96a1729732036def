const BURST = 10
const WITHIN_MS = 1_000

/**
 * Sends in order, ten within any second: half of what a gateway allows by default, so
 * that a page with a hundred subscriptions is not refused when it comes back.
 */
export class Pace {
  readonly #queue: object[] = []
  readonly #write: (message: object) => void
  /** How many may be sent now; nothing before the start. */
  #credit = 0

  constructor(write: (message: object) => void) {
    this.#write = write
  }

  start(): void {
    this.#credit = BURST
    this.#drain()
  }

  send(message: object): void {
    this.#queue.push(message)
    this.#drain()
  }

  stop(): void {
    this.#credit = -Infinity
  }

  #drain(): void {
    while (this.#credit > 0 && this.#queue.length > 0) {
      this.#credit -= 1
      this.#write(this.#queue.shift() ?? {})
      setTimeout(this.#refill, WITHIN_MS)
    }
  }

  readonly #refill = (): void => {
    this.#credit += 1
    this.#drain()
  }
}
