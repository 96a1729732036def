import { expectTypeOf, test } from 'vitest'
import { createClient } from 'pgfeed'
import type { Change, Resync, SetState, TableName } from 'pgfeed'
import { useTable, useTableChanges } from 'pgfeed/react'

interface Course {
  readonly id: number
  readonly title: string
}

declare module 'pgfeed' {
  interface Register {
    tables: { courses: Course }
  }
}

const client = createClient()

test('registered tables have their rows everywhere', () => {
  expectTypeOf(client.live('courses').get()).toEqualTypeOf<SetState<Course>>()
  expectTypeOf(useTable('courses').rows).toEqualTypeOf<readonly Course[]>()
  client.table('courses').subscribe((event) => {
    expectTypeOf(event).toEqualTypeOf<Change<Course> | Resync>()
    if (event.type === 'change') expectTypeOf(event.data?.title).toEqualTypeOf<string | undefined>()
  })
  useTableChanges(['courses'], (event) => {
    if (event.type === 'change') expectTypeOf(event.key).toEqualTypeOf<Partial<Course>>()
  })
})

test('a hook that is handed its tables takes names of them', () => {
  const useAll = (tables: TableName[]): void => {
    useTableChanges(tables, (event) => {
      expectTypeOf(event).toEqualTypeOf<Change<Course> | Resync>()
    })
  }
  expectTypeOf(useAll).toBeCallableWith(['courses'])
})

test('so they have on a declared feed, which takes no filter', () => {
  const feed = client.feed('student/7')
  expectTypeOf(feed.live('courses', { orderBy: '-id' }).get()).toEqualTypeOf<SetState<Course>>()
  expectTypeOf(useTable('courses', { feed: 'student/7' }).rows).toEqualTypeOf<readonly Course[]>()
  // @ts-expect-error -- The owner's filter is all there is.
  feed.live('courses', { filter: 'id=eq.1' })
  // @ts-expect-error -- No such table.
  feed.table('course')
})

test('a row type can be given on the spot', () => {
  expectTypeOf(useTable<{ n: number }>('other').rows).toEqualTypeOf<readonly { n: number }[]>()
})

test('a table that was not registered is a mistake', () => {
  // @ts-expect-error -- No such table.
  client.live('course')
  // @ts-expect-error -- A set needs every operation.
  client.live('courses', { events: ['INSERT'] })
})

test('an event has to be looked at before it is read', () => {
  client.table('courses').subscribe((event) => {
    // @ts-expect-error -- A resync has no data.
    console.log(event.data)
  })
})
