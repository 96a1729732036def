// @vitest-environment jsdom
import { useState, version } from 'react'
import type { ReactNode } from 'react'
import { afterEach, beforeEach, describe, expect, inject, test } from 'vitest'
import { createClient } from '../../src/index.js'
import type { Client, TableEvent } from '../../src/index.js'
import { PgfeedProvider, useConnection, useTable, useTableChanges } from '../../src/react/index.js'
import { FakeSocket, changeOf } from '../support/fake-socket.js'
import { sign } from '../support/gateway.js'
import { mount as mountPage, unmountAll } from './mount.js'
import { Scene, brief, live } from '../support/scene.js'
import type { Course } from '../support/scene.js'
import { until } from '../support/until.js'

let scene: Scene
let client: Client

beforeEach(async () => {
  scene = await Scene.set()
  client = scene.client()
})
afterEach(async () => {
  unmountAll()
  await scene.strike()
})

function mount(page: ReactNode): HTMLElement {
  return mountPage(<PgfeedProvider client={client}>{page}</PgfeedProvider>)
}

function Titles({ filter }: { readonly filter?: string }): ReactNode {
  const { rows, status } = useTable<Course>('courses', filter ? { filter } : {})
  return `${status} ${rows.map((row) => row.title).join()}`
}

test('useTable shows the rows and follows them', async () => {
  await scene.sql("insert into courses (title) values ('a')")
  const page = mount(<Titles />)
  await until('the snapshot', () => page.textContent === 'live a')
  await scene.sql("insert into courses (title) values ('b')")
  await until('the change', () => page.textContent === 'live a,b')
})

test('components share one subscription, StrictMode opens no second one', async () => {
  mount(
    <>
      <Titles />
      <Titles />
    </>,
  )
  await live(client)
  expect(await scene.metric('pgfeed_subscriptions')).toBe(1)
  expect(await scene.metric('pgfeed_connections')).toBe(1)
})

test('another filter is another set, the old one goes', async () => {
  await scene.sql("insert into courses (title, status) values ('a', 'DRAFT'), ('b', 'PUBLISHED')")
  let choose: (filter: string) => void = () => undefined
  function Page(): ReactNode {
    const [filter, setFilter] = useState('status=eq.DRAFT')
    choose = setFilter
    return <Titles filter={filter} />
  }
  const page = mount(<Page />)
  await until('the drafts', () => page.textContent === 'live a')
  choose('status=eq.PUBLISHED')
  await until('the published', () => page.textContent === 'live b')
  await until('one subscription', async () => (await scene.metric('pgfeed_subscriptions')) === 1)
})

test('a callback made anew at each render neither reconnects nor resubscribes', async () => {
  const heard: string[] = []
  let rerender: () => void = () => undefined
  function Page(): ReactNode {
    const [count, setCount] = useState(0)
    rerender = () => {
      setCount((before) => before + 1)
    }
    useTableChanges<Course>(
      ['courses'],
      (event) => heard.push(`${String(count)} ${brief(event)}`),
      {
        events: ['INSERT'],
      },
    )
    return String(count)
  }
  const page = mount(<Page />)
  await live(client)
  for (let n = 1; n <= 20; n += 1) {
    rerender()
    await until('the rendering', () => page.textContent === String(n))
  }
  await scene.sql("insert into courses (title) values ('a')")
  await until('the change', () => heard.length > 0)
  expect(heard).toEqual(['20 enter a'])
  expect(await scene.metric('pgfeed_connections')).toBe(1)
  expect(await scene.metric('pgfeed_subscriptions')).toBe(1)
})

test('useConnection tells an outage and its end', async () => {
  const states: string[] = []
  function Light(): ReactNode {
    const { state } = useConnection()
    if (states.at(-1) !== state) states.push(state)
    return state
  }
  const page = mount(
    <>
      <Titles />
      <Light />
    </>,
  )
  await until('it to be live', () => states.at(-1) === 'live')
  await scene.gateway.end('SIGKILL')
  await until('it to be told', () => /^stale .*offline$/.test(page.textContent))
  await scene.gateway.restart()
  await until('it to be live again', () => page.textContent === 'live live')
  expect(states).toContain('offline')
})

test('a table that is refused is an error, not an empty list', async () => {
  function Page(): ReactNode {
    const { status, error } = useTable('nothing')
    const refusal = useTableChanges(['nothing'], () => undefined)
    return `${status} ${error?.code ?? ''} ${refusal?.code ?? ''}`
  }
  const page = mount(<Page />)
  await until('the refusal', () => page.textContent === 'error unauthorized unauthorized')
})

describe('of several tables', () => {
  let socket: FakeSocket
  let page: HTMLElement

  beforeEach(async () => {
    FakeSocket.opened.length = 0
    const token = sign({ sub: 'ada' })
    client = createClient({ url: scene.gateway.url, WebSocket: FakeSocket, token })
    function Page(): ReactNode {
      const [count, setCount] = useState(0)
      const error = useTableChanges(['courses', 'secret'], () => {
        setCount((before) => before + 1)
      })
      return `${String(count)} ${error?.code ?? 'followed'}`
    }
    page = mount(<Page />)
    await until('the socket', () => FakeSocket.opened.length === 1)
    socket = FakeSocket.last
    socket.greet()
    socket.snapshot('courses', [])
    const id = socket.idOf('secret')
    socket.tell({ type: 'error', id, code: 'forbidden', message: 'not for you' })
    await until('the refusal', () => page.textContent === '0 forbidden')
  })
  afterEach(() => {
    client.close()
  })

  test('a change in one does not lift the error of another', async () => {
    const topic = socket.idOf('courses')
    socket.tell(changeOf('courses', { id: '1', topic }))
    socket.tell({ type: 'cursor', cursor: 'c1' })
    await until('the change', () => page.textContent.startsWith('1'))
    expect(page.textContent).toBe('1 forbidden')
  })

  test('an error goes when the table is followed again, before anything changes', async () => {
    client.setToken(sign({ sub: 'ada', role: 'admin' }))
    socket.tell({ type: 'authenticated', expires_at: '' })
    socket.snapshot('secret', [])
    await until('the recovery', () => page.textContent === '0 followed')
  })
})

test('a set that is not enabled asks for nothing', async () => {
  function Page(): ReactNode {
    return useTable('courses', { enabled: false }).status
  }
  const page = mount(<Page />)
  await until('the page', () => page.textContent === 'loading')
  expect(client.connection.get()).toMatchObject({ state: 'connecting', retryAt: null })
  expect(await scene.metric('pgfeed_connections')).toBe(0)
})

test('ten thousand changes render a few times, and all arrive', async () => {
  let renders = 0
  const events: TableEvent<Course>[] = []
  function Page(): ReactNode {
    renders += 1
    const { rows } = useTable<Course>('courses')
    useTableChanges<Course>(['courses'], (event) => events.push(event))
    return String(rows.length)
  }
  const page = mount(<Page />)
  await live(client)
  const before = renders
  for (let n = 0; n < 10; n += 1) {
    await scene.sql("insert into courses (title) select 'x' from generate_series(1, 1000)")
  }
  await until('all rows', () => page.textContent === '10000')
  expect(events).toHaveLength(10_000)
  // StrictMode renders twice.
  expect(renders - before).toBeLessThan(60)
})

test('React is the version that this run is for', () => {
  expect(version.split('.')[0]).toBe(inject('reactMajor'))
})
