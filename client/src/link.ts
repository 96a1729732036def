import type { ServerMessage, SubscribeRequest } from './wire.js'

/** How a connection ended, in the close codes of the protocol; 1006 where nothing was said. */
export interface LinkEnd {
  readonly code: number
  readonly reason: string
  /** When the gateway wants this client back. */
  readonly retryMs?: number | undefined
  /** Nobody was there at all, so that another transport would do no better. */
  readonly isDown?: boolean
}

export interface LinkHandlers {
  readonly onMessage: (message: ServerMessage) => void
  /** Called once, and never after `close`. */
  readonly onEnd: (end: LinkEnd) => void
  /** A WebSocket works where none did: told by the lesser transports, which look for it. */
  readonly onBetter?: () => void
}

/** One way to a gateway. May be used at once: what it cannot send yet it keeps. */
export interface Link {
  subscribe(request: SubscribeRequest): void
  unsubscribe(id: string): void
  authenticate(token: string): void
  /** Asks for any answer; false where the transport cannot. */
  ping(): boolean
  close(): void
}

export interface LinkOptions {
  /** The gateway's address, to which `ws/changes/` and the like are added. */
  readonly url: URL
  /** A declared feed, which stands for `changes` there. */
  readonly feed: string | undefined
  /** Opens a socket. What only some pages load gets it from here, so that it is there once. */
  readonly dial: Dial
  readonly token: string | null
  /** What the page wants. */
  readonly transport: Transport | 'auto'
  /** The transport that this one stands in for under `auto`, to be tried now and then. */
  readonly better?: OpenLink | undefined
  readonly parse: (text: string) => unknown
  readonly WebSocket: typeof WebSocket
  readonly fetch: typeof fetch | undefined
}

/** Opens a socket, whose end and messages are heard. */
export type Dial = (
  url: URL,
  options: LinkOptions,
  onMessage: (message: ServerMessage) => void,
  onEnd: (end: LinkEnd) => void,
) => WebSocket

export type OpenLink = (options: LinkOptions, handlers: LinkHandlers) => Link

export const TRANSPORTS = ['websocket', 'sse', 'poll'] as const
export type Transport = (typeof TRANSPORTS)[number]
