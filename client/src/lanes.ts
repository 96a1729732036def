import { keepTrying } from './trial.js'
import { Lane, groupRequests } from './lane.js'
import type { Link, LinkEnd, LinkHandlers, LinkOptions } from './link.js'
import type { ErrorCode, SubscribeRequest } from './wire.js'

/** What an answer refused: the subscriptions of its lane, and no more. */
interface Refusal {
  readonly code: ErrorCode
  readonly message: string
}

export type Ending = LinkEnd | Refusal

/** Works one lane until it ends. */
export type RunLane = (lane: Lane, request: LaneRequest) => Promise<Ending>

export interface LaneRequest {
  readonly options: LinkOptions
  /** Asks the gateway; the token is the newest. */
  readonly send: (url: URL) => Promise<Response>
}

/** The link that both HTTP transports are: lanes, opened for what was asked for in one turn. */
export function openLanes(
  options: LinkOptions,
  handlers: LinkHandlers,
  run: RunLane,
  reopensForToken: boolean,
): Link {
  const lanes = new Set<Lane>()
  let asked: SubscribeRequest[] = []
  let token = options.token
  let isOver = false
  const stopTrials = options.better ? keepTrying(options.better, options, handlers) : null

  function close(): void {
    isOver = true
    stopTrials?.()
    for (const lane of lanes) lane.abort()
    lanes.clear()
  }

  function open(requests: readonly SubscribeRequest[]): void {
    const lane = new Lane(requests, handlers.onMessage)
    lanes.add(lane)
    const request = (url: URL): Promise<Response> =>
      options.fetch(url, {
        headers: token ? { authorization: `Bearer ${token}` } : {},
        cache: 'no-store',
        signal: lane.signal,
      })
    void run(lane, { options, send: request })
      .catch((error: unknown): Ending => ({ code: 1006, reason: String(error), isDown: true }))
      .then((ending) => {
        if (lanes.delete(lane) && !isOver) end(lane, ending)
      })
  }

  function end(lane: Lane, ending: Ending): void {
    if (typeof ending.code === 'number') {
      close()
      handlers.onEnd(ending)
    } else if (lane.requests.length > 1) {
      // One of several was refused: alone, each gets its own answer.
      for (const request of lane.requests) open([request])
    } else {
      lane.refuse(ending.code, ending.message)
    }
  }

  return {
    subscribe: (request) => {
      asked.push(request)
      if (asked.length > 1) return
      queueMicrotask(() => {
        const requests = asked
        asked = []
        if (!isOver) groupRequests(requests).forEach(open)
      })
    },
    unsubscribe: (id) => {
      asked = asked.filter((request) => request.id !== id)
      for (const lane of lanes) {
        if (!lane.leave(id)) continue
        lanes.delete(lane)
        lane.abort()
      }
    },
    authenticate: (next) => {
      token = next
      if (!reopensForToken) return
      for (const lane of [...lanes]) {
        lanes.delete(lane)
        lane.abort()
        open(lane.requests)
      }
    },
    ping: () => false,
    close,
  }
}

/** What an answer that is not 200 means. */
export async function endingOf(response: Response): Promise<Ending> {
  const body = (await response.json().catch(() => null)) as Partial<Refusal> | null
  const message = body?.message ?? `HTTP ${String(response.status)}`
  if (response.status === 401) return { code: 4401, reason: message }
  // No such path: something else answers there, not a gateway.
  if (response.status === 404) return { code: 1006, reason: message }
  if (body?.code && response.status < 429) return { code: body.code, message }
  const seconds = response.headers.get('retry-after')
  if (response.status < 429) return { code: 1006, reason: message }
  return {
    code: response.status === 429 ? 4429 : 1006,
    reason: message,
    isDown: true,
    retryMs: seconds === null ? undefined : Number(seconds) * 1000,
  }
}
