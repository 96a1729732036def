import type { ReactNode } from 'react'
import { useTable } from 'pgfeed/react'

/** The menu in the bar: the same set as the list below, by one subscription. */
export function CourseMenu(): ReactNode {
  const { rows, status } = useTable('courses', { orderBy: 'title' })
  return (
    <details className="menu">
      <summary>
        Courses {status !== 'loading' && <span className="badge">{rows.length}</span>}
      </summary>
      <ul>
        {rows.map(({ id, title }) => (
          <li key={id}>
            <a href={`#course-${String(id)}`}>{title}</a>
          </li>
        ))}
      </ul>
    </details>
  )
}
