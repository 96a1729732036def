import { endingOf, openLanes } from './lanes.js'
import type { Ending, LaneRequest } from './lanes.js'
import type { Lane } from './lane.js'
import type { Link, LinkHandlers, LinkOptions } from './link.js'
import type { ServerMessage } from './wire.js'

interface PollAnswer {
  readonly messages: readonly ServerMessage[]
  readonly cursor: string
  /** It ends inside a very large transaction. */
  readonly partial?: boolean
}

const WAIT_S = 20
/** Until the gateway has been heard, and while it is behind, it is to answer soon. */
const SHORT_WAIT_S = 2

/** Long poll: works wherever a page can be fetched. */
export function openPoll(options: LinkOptions, handlers: LinkHandlers): Link {
  return openLanes(options, handlers, runPolls, false)
}

async function runPolls(lane: Lane, { options, send }: LaneRequest): Promise<Ending> {
  let waitS = SHORT_WAIT_S
  for (;;) {
    const url = lane.url(options.url, 'poll')
    url.searchParams.set('wait', String(waitS))
    const response = await send(url)
    if (!response.ok) return endingOf(response)
    // Nothing says hello here. The next answer is due within the wait.
    lane.relay({ type: 'hello', protocol: 1, server: '', heartbeat_ms: WAIT_S * 1000 })
    const answer = options.parse(await response.text()) as PollAnswer
    let lagMs = 0
    for (const message of answer.messages) {
      if (message.type === 'heartbeat') lagMs = message.lag_ms
      else lane.relay(message)
    }
    // No answer says that it was the last; more would come at once.
    if (answer.partial) lane.commit(answer.cursor, true)
    else lane.settle(answer.cursor)
    lane.relay({ type: 'heartbeat', at: '', lag_ms: lagMs })
    waitS = lagMs > 0 ? SHORT_WAIT_S : WAIT_S
  }
}
