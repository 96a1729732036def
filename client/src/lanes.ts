import { Lane, groupRequests, isNarrow } from './lane.js'
import type { Link, LinkEnd, LinkHandlers, LinkOptions } from './link.js'
import { keepTrying } from './trial.js'
import type { ErrorCode, ServerMessage, SubscribeRequest } from './wire.js'

/** What an answer refused: the subscriptions of its lane, and no more. */
interface Refusal {
  readonly code: ErrorCode
  readonly message: string
}

export type Ending = LinkEnd | Refusal

/** Works one lane until it ends. */
export type RunLane = (lane: Lane, request: LaneRequest) => Promise<Ending>

export interface LaneRequest {
  /** With the newest token. */
  readonly options: LinkOptions
  /** Asks the gateway over HTTP. */
  readonly send: (url: URL) => Promise<Response>
}

const OWN_ROWS = 'a declared feed has its own filter, columns and events'
const PONG_WITHIN_MS = 3_000

/**
 * The link of addresses that say all they want: the HTTP transports, and declared feeds. It is
 * lanes, opened for what was asked for in one turn.
 */
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
  const better = options.transport === 'auto' ? options.better : undefined
  const newest = (): LinkOptions => ({ ...options, token })
  const stopTrials = better ? keepTrying(better, newest, handlers) : null

  function onMessage(message: ServerMessage): void {
    handlers.onMessage(message)
    // What was refused is asked for anew, if at all, and under another name.
    const isEnd = message.type === 'error' || message.type === 'unsubscribed'
    if (isEnd && message.id !== undefined) unsubscribe(message.id)
  }

  function unsubscribe(id: string): void {
    asked = asked.filter((request) => request.id !== id)
    for (const lane of lanes) {
      if (lane.leave(id)) drop(lane)
    }
  }

  function drop(lane: Lane): void {
    lanes.delete(lane)
    lane.abort()
  }

  function close(): void {
    isOver = true
    stopTrials?.()
    lanes.forEach(drop)
  }

  function open(requests: readonly SubscribeRequest[]): void {
    const lane = new Lane(options.feed, requests, onMessage)
    lanes.add(lane)
    if (options.feed !== undefined && requests.some(isNarrow)) {
      lane.refuse('forbidden', OWN_ROWS)
      return
    }
    const ask = options.fetch ?? fetch
    const send = (url: URL): Promise<Response> =>
      ask(url, {
        headers: token ? { authorization: `Bearer ${token}` } : {},
        cache: 'no-store',
        signal: lane.signal,
      })
    void run(lane, { options: newest(), send })
      .catch((error: unknown): Ending => ({ code: 1006, reason: messageOf(error), isDown: true }))
      .then((ending) => {
        if (lanes.has(lane) && !isOver) end(lane, ending)
      })
  }

  function end(lane: Lane, answer: Ending): void {
    // Without a token there is none to be renewed: what is refused is this lane, as on a socket.
    const ending: Ending =
      answer.code === 4401 && !token ? { code: 'unauthorized', message: answer.reason } : answer
    if (typeof ending.code === 'number') {
      close()
      handlers.onEnd(ending)
    } else if (options.feed === undefined && lane.requests.length > 1) {
      // One of several was refused: alone, each gets its own answer.
      drop(lane)
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
        if (!isOver) groupRequests(requests, options.feed).forEach(open)
      })
    },
    unsubscribe,
    authenticate: (next) => {
      token = next
      for (const lane of [...lanes]) {
        lane.say?.({ type: 'auth', token: next })
        if (!reopensForToken) continue
        drop(lane)
        open(lane.requests)
      }
      handlers.onMessage({ type: 'authenticated', expires_at: '' })
    },
    ping: () => {
      for (const lane of lanes) lane.hurry(PONG_WITHIN_MS)
      return false
    },
    close,
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** What an answer that is not 200 means. */
export async function endingOf(response: Response): Promise<Ending> {
  const body = (await response.json().catch(() => null)) as Partial<Refusal> | null
  const message = body?.message ?? `HTTP ${String(response.status)}`
  if (response.status === 401) return { code: 4401, reason: message }
  if (body?.code && response.status < 429) return { code: body.code, message }
  const seconds = response.headers.get('retry-after')
  // Without a code something else answers there, not a gateway.
  if (response.status < 429) return { code: 1006, reason: message }
  return {
    code: response.status === 429 ? 4429 : 1006,
    reason: message,
    isDown: true,
    // It may also be a date, of a clock that need not be ours.
    retryMs: Number(seconds) * 1000 || undefined,
  }
}
