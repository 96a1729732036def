import type { ReactNode } from 'react'
import { ConnectionLight } from '../parts/connection-light.js'
import { CourseToasts } from '../parts/toasts.js'
import { useSession } from '../session.js'
import { CourseForm } from './course-form.js'
import { CourseTable } from './course-table.js'
import { Dashboard } from './dashboard.js'

export function AdminPage(): ReactNode {
  const { person } = useSession()
  return (
    <>
      <header>
        <strong>Academy</strong> <em>administration</em>
        <span>{person.name}</span>
        <ConnectionLight />
      </header>
      <main className="columns">
        <div>
          <CourseForm />
          <CourseTable />
        </div>
        <Dashboard />
      </main>
      <CourseToasts />
    </>
  )
}
