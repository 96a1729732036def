import { expect, test } from 'vitest'
import type { LinkEnd, LinkOptions } from '../../src/link.js'
import { openPoll } from '../../src/poll.js'
import type { ServerMessage } from '../../src/wire.js'

interface Run {
  readonly waits: (string | null)[]
  readonly messages: ServerMessage[]
}

/** Polls a gateway that gives these answers in turn and then ends. */
async function poll(answers: readonly (object | Response)[]): Promise<Run> {
  const [waits, messages]: [(string | null)[], ServerMessage[]] = [[], []]
  const left = [...answers]
  const answer = (url: URL): Promise<Response> => {
    waits.push(url.searchParams.get('wait'))
    const next = left.shift() ?? new Response(null, { status: 503 })
    return Promise.resolve(next instanceof Response ? next : Response.json(next))
  }
  const url = new URL('http://gateway.example/')
  const options = { url, transport: 'poll', token: null, parse: JSON.parse, fetch: answer }
  await new Promise<LinkEnd>((resolve) => {
    const handlers = {
      onMessage: (message: ServerMessage) => messages.push(message),
      onEnd: resolve,
    }
    openPoll(options as unknown as LinkOptions, handlers).subscribe({
      id: '1',
      table: 't',
      since: 'c0',
    })
  })
  return { waits, messages }
}

test('the first answer is asked for soon, so that somebody is known to be there', async () => {
  const { waits } = await poll([
    { messages: [], cursor: 'c0' },
    { messages: [], cursor: 'c0' },
  ])
  expect(waits).toEqual(['2', '20', '20'])
})

test('the gateway is there from its first byte on, however long the answer', async () => {
  const never = new ReadableStream({
    start: (body) => {
      body.error(new Error('cut'))
    },
  })
  const { messages } = await poll([new Response(never)])
  expect(messages.map(({ type }) => type)).toEqual(['hello'])
})

test('an answer that ends inside a transaction says so', async () => {
  const { messages } = await poll([
    { messages: [], cursor: 'c1', partial: true },
    { messages: [], cursor: 'c2' },
  ])
  expect(messages.filter(({ type }) => type === 'cursor' || type === 'live')).toEqual([
    { type: 'cursor', id: '1', cursor: 'c1', partial: true },
    { type: 'live', id: '1', cursor: 'c2' },
  ])
})
