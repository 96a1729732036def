import type { Lane } from './lane.js'
import { openLanes } from './lanes.js'
import type { Ending, LaneRequest } from './lanes.js'
import type { Link, LinkEnd, LinkHandlers, LinkOptions } from './link.js'
import type { ServerMessage } from './wire.js'

const FORBIDDEN = 4403

/** A declared feed over WebSockets. Its tables are asked for by its address, not by message. */
export function openFeedSocket(options: LinkOptions, handlers: LinkHandlers): Link {
  return openLanes({ ...options, better: undefined }, handlers, runSocket, false)
}

function runSocket(lane: Lane, { options }: LaneRequest): Promise<Ending> {
  return new Promise((resolve) => {
    const onMessage = (message: ServerMessage): void => {
      lane.heard()
      if (message.type === 'cursor') lane.follow(message)
      else lane.relay(message)
      if (message.type === 'heartbeat') lane.advance(message)
    }
    const onEnd = (end: LinkEnd): void => {
      const message = end.reason || 'this feed is not open to you'
      resolve(end.code === FORBIDDEN ? { code: 'forbidden', message } : end)
    }
    const url = lane.url(options.url, 'ws')
    const socket = options.dial(url, options, onMessage, onEnd)
    socket.onopen = () => {
      lane.say = (message) => {
        socket.send(JSON.stringify(message))
      }
    }
    lane.signal.addEventListener('abort', () => {
      socket.onopen = socket.onmessage = socket.onclose = null
      socket.close(1000)
      resolve({ code: 1006, reason: String(lane.signal.reason) })
    })
  })
}
