import type { ReactNode } from 'react'
import { renderToString } from 'react-dom/server'
import { expect, test } from 'vitest'
import { createClient } from '../../src/index.js'
import { PgfeedProvider, useConnection, useTable, useTableChanges } from '../../src/react/index.js'

function Page(): ReactNode {
  const { rows, status } = useTable('courses')
  useTableChanges(['courses'], () => undefined)
  const own = useTable('courses', { feed: 'student/7' })
  return `${status} ${String(rows.length)} ${useConnection().state} ${own.status}`
}

test('a server renders the page as loading, and opens nothing', () => {
  const opened: unknown[] = []
  function Forbidden(...words: unknown[]): void {
    opened.push(words)
  }
  const client = createClient({ url: 'https://gateway.example', WebSocket: Forbidden })
  const html = renderToString(
    <PgfeedProvider client={client}>
      <Page />
    </PgfeedProvider>,
  )
  expect(html).toBe('loading 0 connecting loading')
  expect(opened).toEqual([])
})

test('a page is rendered on a server as connecting, whatever its client has become', () => {
  const client = createClient()
  client.close()
  const html = renderToString(
    <PgfeedProvider client={client}>
      <Page />
    </PgfeedProvider>,
  )
  expect(html).toBe('loading 0 connecting loading')
})

test('a hook outside the provider says what is missing', () => {
  expect(() => renderToString(<Page />)).toThrow('put the page into <PgfeedProvider>')
})
