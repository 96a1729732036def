import type { LinkHandlers, LinkOptions, Link } from './link.js'
import { Pace } from './pace.js'
import type { ServerMessage } from './wire.js'

/**
 * The token travels as a subprotocol: a browser cannot set headers here, and an address ends up in
 * the log files of proxies.
 */
export function openWebSocket(options: LinkOptions, handlers: LinkHandlers): Link {
  const url = new URL('ws/changes/', options.url)
  url.protocol = url.protocol.replace('http', 'ws')
  const protocols = ['pgfeed.v1', ...(options.token ? [`bearer.${options.token}`] : [])]
  const socket = new options.WebSocket(url, protocols)
  const pace = new Pace((message) => {
    socket.send(JSON.stringify(message))
  })
  // Tells nothing that `onclose` does not, but Node's `ws` throws an error that nobody hears.
  socket.onerror = () => undefined
  socket.onopen = () => {
    pace.start()
  }
  socket.onmessage = (event: MessageEvent<string>) => {
    handlers.onMessage(options.parse(event.data) as ServerMessage)
  }
  socket.onclose = (event) => {
    pace.stop()
    const [, retryMs] = /retry_ms=(\d+)/.exec(event.reason) ?? []
    handlers.onEnd({
      code: event.code,
      reason: event.reason,
      retryMs: retryMs ? Number(retryMs) : undefined,
    })
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
