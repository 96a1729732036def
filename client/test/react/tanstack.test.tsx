// @vitest-environment jsdom
import { readFile } from 'node:fs/promises'
import { QueryClient, QueryClientProvider, useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { PgfeedProvider } from '../../src/react/index.js'
import { mount, unmountAll } from './mount.js'
import { Scene, live } from '../support/scene.js'
import { until } from '../support/until.js'
import { useLiveQueries } from './use-live-queries.js'

let scene: Scene
beforeEach(async () => {
  scene = await Scene.set()
})
afterEach(async () => {
  unmountAll()
  await scene.strike()
})

test('a query is fetched anew once for each transaction that changes its table', async () => {
  const client = scene.client()
  let fetched = 0
  const fetchTitles = async (): Promise<string> => {
    fetched += 1
    const rows = await scene.sql<{ title: string }>('select title from courses order by id')
    return rows.map(({ title }) => title).join()
  }
  function Page(): ReactNode {
    useLiveQueries(['courses'])
    const { data } = useQuery({ queryKey: ['courses', 'titles'], queryFn: fetchTitles })
    return `titles ${data ?? 'unknown'}`
  }
  const page = mount(
    <PgfeedProvider client={client}>
      <QueryClientProvider client={new QueryClient()}>
        <Page />
      </QueryClientProvider>
    </PgfeedProvider>,
  )
  await live(client)
  await until('the first answer', () => page.textContent === 'titles ')
  const before = fetched
  await scene.sql("insert into courses (title) values ('a'), ('b'), ('c')")
  await until('the rows', () => page.textContent === 'titles a,b,c')
  expect(fetched - before).toBe(1)
  await scene.sql("update courses set title = 'd' where title = 'b'")
  await until('the change', () => page.textContent === 'titles a,d,c')
})

test('the recipe is the one that the README prints', async () => {
  const here = await readFile('test/react/use-live-queries.ts', 'utf8')
  const recipe = here.slice(here.indexOf('function'))
  expect(await readFile('README.md', 'utf8')).toContain(recipe.trim())
})
