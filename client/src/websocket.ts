import { backoffMs } from './backoff.js'
import { LATER_MS } from './codes.js'
import type { Dial, Link, LinkHandlers, LinkOptions } from './link.js'
import { Pace } from './pace.js'
import type { ServerMessage } from './wire.js'

/** The feed `changes`: one socket for all subscriptions, each asked for by message. */
export function openWebSocket(options: LinkOptions, handlers: LinkHandlers): Link {
  const socket = dial(new URL('ws/changes/', options.url), options, handlers.onMessage, (end) => {
    pace.stop()
    handlers.onEnd(end)
  })
  const pace = new Pace((message) => {
    socket.send(JSON.stringify(message))
  })
  socket.onopen = () => {
    pace.start()
  }
  return {
    subscribe: (request) => {
      pace.send({ type: 'subscribe', ...request })
    },
    unsubscribe: (id) => {
      pace.send({ type: 'unsubscribe', id })
    },
    authenticate: (token) => {
      pace.send({ type: 'auth', token })
    },
    ping: () => {
      pace.send({ type: 'ping' })
      return true
    },
    close: () => {
      pace.stop()
      socket.onopen = socket.onmessage = socket.onclose = null
      socket.close(1000)
    },
  }
}

/**
 * The token travels as a subprotocol: a browser cannot set headers here, and an address ends up in
 * the log files of proxies.
 */
export const dial: Dial = (url, { WebSocket, token, parse }, onMessage, onEnd) => {
  url.protocol = url.protocol.replace('http', 'ws')
  const socket = new WebSocket(url, ['pgfeed.v1', ...(token ? [`bearer.${token}`] : [])])
  // Tells nothing that `onclose` does not, but Node's `ws` throws an error that nobody hears.
  socket.onerror = () => undefined
  socket.onmessage = (event: MessageEvent<string>) => {
    let message
    try {
      message = parse(event.data) as ServerMessage
    } catch (error) {
      // Skipped, it would be lost with the next cursor. Sent again it may well be read no better.
      socket.onmessage = socket.onclose = null
      socket.close()
      onEnd({ code: 1006, reason: String(error), retryMs: LATER_MS + backoffMs(3) })
      return
    }
    onMessage(message)
  }
  socket.onclose = ({ code, reason }) => {
    const [, retryMs] = /retry_ms=(\d+)/.exec(reason) ?? []
    onEnd({ code, reason, retryMs: retryMs ? Number(retryMs) : undefined })
  }
  return socket
}
