import { TRANSPORTS } from './link.js'
import type { LinkEnd, Transport } from './link.js'

/**
 * Which transport to try. A lesser one is for networks that break WebSockets, not for a gateway
 * that is away: that one is waited for over the WebSocket.
 */
export class TransportChoice {
  readonly #fixed: boolean
  #place = 0
  /** How often a WebSocket may fail before another transport is tried. */
  #patience = 2
  #misses = 0

  constructor(wish: Transport | 'auto') {
    this.#fixed = wish !== 'auto'
    if (wish !== 'auto') this.#place = TRANSPORTS.indexOf(wish)
  }

  get transport(): Transport {
    return TRANSPORTS[this.#place] ?? 'websocket'
  }

  worked(): void {
    this.#misses = 0
    if (this.#place === 0) this.#patience = 5
  }

  /** Goes back to the best. */
  reset(): void {
    if (!this.#fixed) this.#place = this.#misses = 0
  }

  /** An attempt ended before the gateway said hello. */
  failed({ code, isDown }: LinkEnd): void {
    this.#misses += 1
    // Without a code it was not made: where the lesser ones cannot be loaded, as after a deploy that
    // took their file away, only the WebSocket is left.
    if (isDown || !code) this.reset()
    // A code of the gateway's own means that the transport works.
    else if (!this.#fixed && code === 1006 && (this.#place > 0 || this.#misses >= this.#patience))
      this.#place = (this.#place + 1) % TRANSPORTS.length
  }
}
