import { refreshInMs, subjectOf } from './token.js'

export type GetToken = () => string | null | Promise<string | null>

export interface TokenHandlers {
  /** A newer token of the same person. */
  readonly onRenewed: (token: string) => void
  /** Another person's token, or none any more. */
  readonly onOther: () => void
}

/** Fetches tokens: before a connection is made, and again before one ends. */
export class TokenKeeper {
  readonly #get: GetToken | null = null
  readonly #handlers: TokenHandlers
  token: string | null = null
  /** Undefined while no token was used yet. */
  #subject: unknown
  #isResting = false
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(source: GetToken | string | null, handlers: TokenHandlers) {
    if (typeof source === 'function') this.#get = source
    else this.token = source
    this.#handlers = handlers
  }

  /** Sees to the token for a new connection, and says whether it is another person's. */
  async take(): Promise<boolean> {
    this.#isResting = false
    return this.#hold(await this.#fetch())
  }

  /** Takes a token from the page. */
  put(token: string | null): void {
    const before = this.token
    if (this.#hold(token)) this.#handlers.onOther()
    else if (token !== null && token !== before) this.#handlers.onRenewed(token)
  }

  /** Until the next connection none is renewed, also not by a fetch that is under way. */
  rest(): void {
    this.#isResting = true
    clearTimeout(this.#timer)
  }

  async #fetch(): Promise<string | null> {
    return this.#get ? this.#get() : this.token
  }

  /** Keeps it, plans its renewal, and says whether it is another person's. */
  #hold(token: string | null): boolean {
    const subject = subjectOf(token)
    const isOther = this.#subject !== undefined && this.#subject !== subject
    this.#subject = subject
    this.token = token
    this.#plan()
    return isOther
  }

  #plan(): void {
    clearTimeout(this.#timer)
    const waitMs = refreshInMs(this.token, Date.now())
    if (waitMs && this.#get && !this.#isResting)
      this.#timer = setTimeout(() => void this.#renew(), waitMs)
  }

  async #renew(): Promise<void> {
    const before = this.token
    const token = await this.#fetch().catch(() => null)
    // Overtaken by the page, or nothing new: when the old one ends, the gateway says so.
    if (this.token !== before) return
    if (token) this.put(token)
    else this.#plan()
  }
}
