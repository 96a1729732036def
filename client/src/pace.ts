const BURST = 10
const INTERVAL_MS = 100

/**
 * Sends in order, ten at once and then ten a second: half of what a gateway allows by default, so
 * that a page with a hundred subscriptions is not refused when it comes back.
 */
export class Pace {
  readonly #queue: object[] = []
  readonly #write: (message: object) => void
  /** How many may be sent now; nothing before the start. */
  #credit = 0
  #timer: ReturnType<typeof setTimeout> | undefined

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
    clearTimeout(this.#timer)
    this.#queue.length = this.#credit = 0
  }

  #drain(): void {
    while (this.#credit > 0 && this.#queue.length > 0) {
      this.#credit -= 1
      this.#write(this.#queue.shift() ?? {})
      this.#timer ??= setTimeout(this.#refill, INTERVAL_MS)
    }
  }

  readonly #refill = (): void => {
    this.#credit += 1
    // Runs on only until the allowance is full again: an idle page has no timer.
    this.#timer = this.#credit < BURST ? setTimeout(this.#refill, INTERVAL_MS) : undefined
    this.#drain()
  }
}
