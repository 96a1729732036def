import { useEffect, useState } from 'react'
import type { ReactNode } from 'react'
import { useTable, useTableChanges } from 'pgfeed/react'
import { Loaded } from '../parts/skeleton.js'
import { BarChart, LineChart } from './charts.js'

const SECONDS = 60

export function Dashboard(): ReactNode {
  const registrations = useTable('registrations')
  const { rows: courses } = useTable('courses', { orderBy: '-id' })
  const counts = new Map<number, number>()
  let progress = 0
  for (const row of registrations.rows) {
    counts.set(row.course_id, (counts.get(row.course_id) ?? 0) + 1)
    progress += row.progress
  }
  const total = registrations.rows.length
  return (
    <section aria-label="Dashboard">
      <h2>Dashboard</h2>
      <Loaded of={registrations} lines={8}>
        <dl className="figures">
          <Figure name="Courses" value={courses.length} />
          <Figure name="Registrations" value={total} />
          <Figure name="Progress" value={`${String(total ? Math.round(progress / total) : 0)} %`} />
        </dl>
        <h3>Registrations by course</h3>
        <BarChart
          bars={courses.map(({ id, title }) => ({ id, name: title, value: counts.get(id) ?? 0 }))}
        />
        <h3>Changes in the last minute</h3>
        <LineChart values={useChangesBySecond()} />
      </Loaded>
    </section>
  )
}

function Figure({ name, value }: { readonly name: string; readonly value: ReactNode }): ReactNode {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  )
}

/** How many changes came in each of the last sixty seconds. */
function useChangesBySecond(): readonly number[] {
  const [counts, setCounts] = useState<readonly number[]>(() => Array<number>(SECONDS).fill(0))
  useTableChanges(['courses', 'registrations'], () => {
    setCounts((before) => [...before.slice(0, -1), (before.at(-1) ?? 0) + 1])
  })
  useEffect(() => {
    const timer = setInterval(() => {
      setCounts((before) => [...before.slice(1), 0])
    }, 1000)
    return () => {
      clearInterval(timer)
    }
  }, [])
  return counts
}
