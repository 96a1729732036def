// @vitest-environment jsdom
import type { ReactNode } from 'react'
import { afterEach, expect, test } from 'vitest'
import { PgfeedProvider, useConnection, useTable, useTableChanges } from '../../src/react/index.js'
import { sign } from '../support/gateway.js'
import { mount, unmountAll } from './mount.js'
import { Scene, brief } from '../support/scene.js'
import type { Course } from '../support/scene.js'
import { until } from '../support/until.js'

const TOML = `[feeds.mentor]
path = "mentor/{id}"
require = { sub = "{id}" }
tables = [{ table = "courses", filter = "seats=eq.{id}" }]
`

let scene: Scene
afterEach(async () => {
  unmountAll()
  await scene.strike()
})

function Titles({ feed }: { readonly feed?: string }): ReactNode {
  const { rows, status } = useTable<Course>('courses', { feed, orderBy: 'title' })
  return `${status} ${rows.map(({ title }) => title).join()} ${useConnection(feed).state};`
}

test('hooks follow the feed that they name, or the provider’s, by one connection', async () => {
  scene = await Scene.set({ toml: TOML })
  await scene.sql("insert into courses (title, seats) values ('a', 7), ('b', 8)")
  const client = scene.client({ token: sign({ sub: '7' }) })
  const heard: string[] = []
  function Mentor(): ReactNode {
    useTableChanges<Course>(['courses'], (event) => heard.push(brief(event)))
    return <Titles />
  }
  const page = mount(
    <PgfeedProvider client={client}>
      <Titles feed="mentor/7" />
      <PgfeedProvider client={client} feed="mentor/7">
        <Mentor />
        <Titles feed="" />
      </PgfeedProvider>
    </PgfeedProvider>,
  )
  const ours = 'live a live;'
  await until('the rows', () => page.textContent === `${ours}${ours}live a,b live;`)
  expect(await scene.metric('pgfeed_connections')).toBe(2)
  await scene.sql("insert into courses (title, seats) values ('c', 8), ('d', 7)")
  const now = 'live a,d live;'
  await until('the change', () => page.textContent === `${now}${now}live a,b,c,d live;`)
  expect(heard).toEqual(['enter d'])
})

test('a hook that narrows a feed is told that it cannot', async () => {
  scene = await Scene.set({ toml: TOML })
  const client = scene.client({ token: sign({ sub: '7' }) })
  function Page(): ReactNode {
    const { status, error } = useTable('courses', { filter: 'id=gt.1' })
    return `${status} ${error?.code ?? ''}`
  }
  const page = mount(
    <PgfeedProvider client={client} feed="mentor/7">
      <Page />
    </PgfeedProvider>,
  )
  await until('the refusal', () => page.textContent === 'error forbidden')
})
