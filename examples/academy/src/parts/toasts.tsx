import { useCallback, useEffect, useRef, useState } from 'react'
import type { ReactNode, RefObject } from 'react'
import { useTable, useTableChanges } from 'pgfeed/react'
import type { TableEvent } from 'pgfeed'
import type { Course } from '../tables.js'

type Tone = 'good' | 'news' | 'warning'

interface Toast {
  readonly id: number
  readonly tone: Tone
  readonly text: string
}

const STAYS_MS = 5_000
const SHOWN_MAX = 4

/** What happened to the courses that this reader sees, told for five seconds. */
export function CourseToasts(): ReactNode {
  const [toasts, setToasts] = useState<readonly Toast[]>([])
  const lastId = useRef(0)
  const timers = useRef(new Set<ReturnType<typeof setTimeout>>())
  useEffect(() => {
    const running = timers.current
    return () => {
      for (const timer of running) clearTimeout(timer)
    }
  }, [])
  const show = useCallback((tone: Tone, text: string) => {
    lastId.current += 1
    const id = lastId.current
    setToasts((before) => [...before, { id, tone, text }].slice(-SHOWN_MAX))
    const timer = setTimeout(() => {
      timers.current.delete(timer)
      setToasts((before) => before.filter((toast) => toast.id !== id))
    }, STAYS_MS)
    timers.current.add(timer)
  }, [])
  const titles = useTitles()
  useTableChanges(['courses'], (event) => {
    const toast = describe(event, titles.current)
    if (toast) show(...toast)
  })
  return (
    <div className="toasts" role="log" aria-live="polite">
      {toasts.map(({ id, tone, text }) => (
        <p key={id} className={`toast ${tone}`}>
          {text}
        </p>
      ))}
    </div>
  )
}

/** The title of each course that was ever on this page: one that leaves comes as its key alone. */
function useTitles(): RefObject<Map<number, string>> {
  const titles = useRef(new Map<number, string>())
  const { rows } = useTable('courses', { orderBy: 'title' })
  useEffect(() => {
    for (const { id, title } of rows) titles.current.set(id, title)
  }, [rows])
  return titles
}

function describe(
  event: TableEvent<Course>,
  titles: ReadonlyMap<number, string>,
): [Tone, string] | null {
  if (event.type === 'resync') return ['news', 'Courses were read anew.']
  const { key, data } = event
  const title = data?.title ?? titles.get(key.id ?? 0) ?? 'a course'
  switch (event.effect) {
    case 'enter':
      return ['good', `New course available: ${title}`]
    case 'update':
      return ['news', `Course updated: ${title}`]
    case 'leave':
      return ['warning', `Course removed: ${title}`]
    case 'clear':
      return ['warning', 'All courses removed']
  }
}
