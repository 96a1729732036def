import { endingOf, openLanes } from './lanes.js'
import type { Ending, LaneRequest } from './lanes.js'
import type { Lane } from './lane.js'
import type { Link, LinkHandlers, LinkOptions } from './link.js'
import type { ServerMessage } from './wire.js'

/**
 * Server-sent events, read by fetch: an EventSource cannot send the token as a header, and hides
 * the events that are an `id:` line alone, which are the cursors.
 */
export function openSse(options: LinkOptions, handlers: LinkHandlers): Link {
  return openLanes(options, handlers, runStream, true)
}

async function runStream(lane: Lane, { options, send }: LaneRequest): Promise<Ending> {
  const response = await send(lane.url(options.url, 'sse'))
  if (!response.ok || !response.body) return endingOf(response)
  let retryMs: number | undefined
  const lines = new EventLines((id, data) => {
    if (data !== '') lane.relay(options.parse(data) as ServerMessage)
    if (id !== undefined) lane.commit(id, false)
  })
  const reader = response.body.getReader()
  const decoder = new TextDecoder()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    lane.heard()
    lines.push(decoder.decode(value, { stream: true }))
    retryMs = lines.retryMs
  }
  return { code: 1006, reason: 'the stream ended', retryMs }
}

/** Takes an event stream apart. */
export class EventLines {
  retryMs: number | undefined
  readonly #onEvent: (id: string | undefined, data: string) => void
  #rest = ''
  #id: string | undefined
  #data: string[] = []

  constructor(onEvent: (id: string | undefined, data: string) => void) {
    this.#onEvent = onEvent
  }

  push(text: string): void {
    this.#rest += text
    // A large event comes in many pieces: only what ends a line makes it worth a look at them all.
    if (!text.includes('\n')) return
    const lines = this.#rest.split(/\r?\n/)
    this.#rest = lines.pop() ?? ''
    for (const line of lines) this.#line(line)
  }

  #line(line: string): void {
    if (line === '') {
      const [id, data] = [this.#id, this.#data.join('\n')]
      this.#id = undefined
      this.#data = []
      if (id !== undefined || data !== '') this.#onEvent(id, data)
      return
    }
    // Without `s` a line with U+2028, which JSON allows, would match nothing and be lost.
    const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line) ?? []
    if (field === 'data') this.#data.push(value ?? '')
    else if (field === 'id') this.#id = value
    else if (field === 'retry') this.retryMs = Number(value)
  }
}
