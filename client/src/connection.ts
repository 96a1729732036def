import { backoffMs } from './backoff.js'
import { LATER_MS, closeOf } from './codes.js'
import { TransportChoice } from './fallback.js'
import type { Link, LinkEnd, LinkOptions, OpenLink, Transport } from './link.js'
import { nextState } from './state.js'
import type { ConnectionEvent, ConnectionState } from './state.js'
import { Store } from './store.js'
import { TokenKeeper } from './token-keeper.js'
import type { GetToken } from './token-keeper.js'
import { onWake } from './wake.js'
import type { ServerMessage } from './wire.js'
import { dial, openWebSocket } from './websocket.js'

export interface ConnectionStatus {
  readonly state: ConnectionState
  /** The transport in use, or tried next. */
  readonly transport: Transport
  /** Why the page is not live, for a person; null while it is. */
  readonly reason: string | null
  /** When the next attempt is made (`Date.now()`), or null if none is planned. */
  readonly retryAt: number | null
  /** How far the gateway was behind the database when it last said so. */
  readonly lagMs: number
}

export const CONNECTING: ConnectionStatus = {
  state: 'connecting',
  transport: 'websocket',
  reason: null,
  retryAt: null,
  lagMs: 0,
}

export interface ConnectionOptions extends Omit<LinkOptions, 'token' | 'better' | 'dial'> {
  readonly token: GetToken | string | null
  /** From which lag on the page is told that it is stale. */
  readonly staleAfterMs: number
}

export interface ConnectionHandlers {
  /** A new link: subscriptions are to be made on it. */
  onOpen(): void
  onMessage(message: ServerMessage): void
  onLost(): void
  /** Another person's token: what is held is not theirs to see. */
  onIdentity(): void
}

const HELLO_WITHIN_MS = 10_000
const ANSWER_WITHIN_MS = 3_000
const SILENT = 'the gateway is silent'

/** Keeps one link to the gateway for as long as anybody wants one. Owned by the client. */
export class Connection {
  readonly status: Store<ConnectionStatus> = new Store<ConnectionStatus>(CONNECTING)
  readonly #options: ConnectionOptions
  readonly #handlers: ConnectionHandlers
  readonly #choice: TransportChoice
  readonly #keeper: TokenKeeper
  #link: Link | null = null
  /** Counts attempts, so that what an abandoned one still says is ignored. */
  #turn = 0
  #isWanted = false
  /** From the first step of an attempt to the end of its link. */
  #isBusy = false
  #isGreeted = false
  #failures = 0
  #heardAtMs = 0
  #heartbeatMs = 15_000
  #retry: ReturnType<typeof setTimeout> | undefined
  #deadline: ReturnType<typeof setTimeout> | undefined
  #watch: ReturnType<typeof setInterval> | undefined
  #unhookWake: (() => void) | null = null

  constructor(options: ConnectionOptions, handlers: ConnectionHandlers) {
    this.#options = options
    this.#handlers = handlers
    this.#choice = new TransportChoice(options.transport)
    this.#keeper = new TokenKeeper(options.token, {
      onRenewed: (token) => {
        // Refused for the one before, a page that can fetch none would wait for this one.
        if (this.#isGreeted || typeof this.#options.token === 'function')
          this.#link?.authenticate(token)
        else this.#restart()
      },
      onOther: () => {
        this.#handlers.onIdentity()
        this.#restart()
      },
    })
  }

  /** Connects, or lets go after the last user left. */
  want(isWanted: boolean): void {
    if (this.#isWanted === isWanted || this.status.get().state === 'closed') return
    this.#isWanted = isWanted
    if (isWanted) {
      this.#unhookWake = onWake({ wake: this.#wake, leave: this.#leave })
      void this.#open()
    } else {
      this.#leave()
      this.#unhookWake?.()
      this.status.set(CONNECTING)
    }
  }

  /** Another token from the page's side: a sign-in, a sign-out, or a fresh one. */
  setToken(token: string | null): void {
    this.#keeper.put(token)
    if (this.#isWanted && !this.#isBusy) void this.#open()
  }

  /** For good. */
  close(reason: string): void {
    this.want(false)
    this.#tell('close', { reason })
  }

  get link(): Link | null {
    return this.#link
  }

  /** The browser is back online, or the tab in view: try now, or see whether anybody is there. */
  readonly #wake = (): void => {
    if (!this.#isWanted) return
    if (!this.#isBusy) {
      if (isBrowserOffline()) return
      this.#failures = 0
      this.#tell('woken', { retryAt: null })
      void this.#open()
    } else if (this.#isGreeted && this.#link?.ping()) this.#awaitAnswer(ANSWER_WITHIN_MS)
    else this.#checkSilence()
  }

  /** Cuts a link that is silent while it owes an answer; what else comes only gives it time. */
  #awaitAnswer(withinMs: number): void {
    clearTimeout(this.#deadline)
    this.#deadline = setTimeout(() => {
      if (Date.now() - this.#heardAtMs < ANSWER_WITHIN_MS) this.#awaitAnswer(ANSWER_WITHIN_MS)
      else this.#cut()
    }, withinMs)
  }

  readonly #leave = (): void => {
    this.#link?.close()
    this.#forget()
    this.#tell('lost', {})
  }

  #restart(): void {
    this.#leave()
    if (this.#isWanted) void this.#open()
  }

  #forget(): void {
    this.#turn += 1
    clearTimeout(this.#retry)
    clearTimeout(this.#deadline)
    clearInterval(this.#watch)
    this.#keeper.rest()
    const hadLink = this.#link !== null
    this.#link = null
    this.#isBusy = this.#isGreeted = false
    if (hadLink) this.#handlers.onLost()
  }

  async #open(): Promise<void> {
    const turn = ++this.#turn
    this.#isBusy = true
    // Silence counts from here: a page may be shown while its token is fetched.
    this.#heardAtMs = Date.now()
    clearTimeout(this.#retry)
    const isCurrent = (): boolean => turn === this.#turn
    // Without a token there was no attempt, and so none that speaks against the transport.
    let code = 0
    try {
      const open = await openerOf(this.#choice.transport, this.#options.feed)
      const isOther = await this.#keeper.take()
      if (!isCurrent()) return
      if (isOther) this.#handlers.onIdentity()
      this.#awaitAnswer(HELLO_WITHIN_MS)
      this.#heardAtMs = Date.now()
      code = 1006
      this.#link = open(
        {
          ...this.#options,
          token: this.#keeper.token,
          dial,
          better: openWebSocket,
        },
        {
          onMessage: (message) => {
            if (isCurrent()) this.#hear(message)
          },
          onEnd: (end) => {
            if (isCurrent()) this.#end(end)
          },
          onBetter: () => {
            this.#choice.reset()
            this.#restart()
          },
        },
      )
      this.#handlers.onOpen()
    } catch (error) {
      if (isCurrent()) this.#end({ code, reason: String(error) })
    }
  }

  #hear(message: ServerMessage): void {
    this.#heardAtMs = Date.now()
    if (message.type === 'hello') this.#greet(message.heartbeat_ms)
    if (message.type === 'pong') clearTimeout(this.#deadline)
    this.#handlers.onMessage(message)
    const isHeartbeat = message.type === 'heartbeat'
    if (!isHeartbeat && !isFresh(message)) return
    const lagMs = isHeartbeat ? message.lag_ms : this.status.get().lagMs
    const isBehind = lagMs > this.#options.staleAfterMs
    const reason = isBehind ? 'the gateway is behind the database' : null
    this.#tell(isBehind ? 'behind' : 'fresh', { lagMs, reason })
  }

  #greet(heartbeatMs: number): void {
    if (this.#isGreeted) return
    this.#isGreeted = true
    this.#heartbeatMs = heartbeatMs
    clearTimeout(this.#deadline)
    this.#watch = setInterval(this.#checkSilence, heartbeatMs / 4)
    this.#tell(null, { transport: this.#choice.transport, retryAt: null, lagMs: 0 })
    this.#choice.worked()
  }

  /** An open socket proves nothing: a gateway is there as long as it is heard. */
  readonly #checkSilence = (): void => {
    const silentMs = Date.now() - this.#heardAtMs
    if (silentMs > this.#heartbeatMs * 2.5) this.#cut()
    else if (silentMs > this.#heartbeatMs * 1.5) {
      this.#tell('behind', { reason: SILENT })
    }
  }

  #cut(): void {
    this.#link?.close()
    this.#end({ code: this.#link ? 1006 : 0, reason: SILENT })
  }

  #end(end: LinkEnd): void {
    const wasGreeted = this.#isGreeted
    const [comeback, meaning] = closeOf(end.code, end.reason)
    this.#forget()
    if (comeback === 'never') {
      this.close(meaning)
      return
    }
    const isOffline = isBrowserOffline()
    if (!wasGreeted && !isOffline) this.#choice.failed(end)
    const backMs = end.retryMs ?? backoffMs(this.#failures) + (comeback === 'later' ? LATER_MS : 0)
    this.#failures += 1
    // Without a way to renew it, a refused token waits for the page to bring another.
    const isWaiting = comeback !== 'token' || typeof this.#options.token === 'function'
    if (isWaiting) this.#retry = setTimeout(() => void this.#open(), backMs)
    this.#tell(wasGreeted ? 'lost' : 'failed', {
      reason: isOffline ? 'the browser is offline' : meaning,
      retryAt: isWaiting ? Date.now() + backMs : null,
    })
  }

  #tell(event: ConnectionEvent | null, change: Partial<ConnectionStatus>): void {
    const before = this.status.get()
    const state = event ? nextState(before.state, event) : before.state
    if (event === 'fresh') this.#failures = 0
    const after = { ...before, ...change, state }
    if (JSON.stringify(before) !== JSON.stringify(after)) this.status.set(after)
  }
}

async function openerOf(transport: Transport, feed: string | undefined): Promise<OpenLink> {
  const isUsual = transport === 'websocket' && feed === undefined
  return isUsual ? openWebSocket : (await import('./lazy.js'))[transport]
}

/** A gateway tells a position only when it knows the log; one to catch up from is an old one. */
function isFresh(message: ServerMessage): boolean {
  return 'cursor' in message && !('live' in message && !message.live)
}

function isBrowserOffline(): boolean {
  return (globalThis as Partial<typeof globalThis>).navigator?.onLine === false
}
