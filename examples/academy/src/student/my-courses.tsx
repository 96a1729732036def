import { useState } from 'react'
import type { ReactNode } from 'react'
import { useTable } from 'pgfeed/react'
import { Loaded } from '../parts/skeleton.js'
import { useSession } from '../session.js'

/** A student's registrations, with the progress that any window of theirs makes. */
export function MyCourses(): ReactNode {
  const { act } = useSession()
  const [failure, setFailure] = useState<string | null>(null)
  const registrations = useTable('registrations')
  const { rows: courses } = useTable('courses', { orderBy: 'title' })
  const titles = new Map(courses.map(({ id, title }) => [id, title]))
  const learn = (id: number): void => {
    setFailure(null)
    act('PATCH', `registrations/${String(id)}`).catch((error: unknown) => {
      setFailure(String(error))
    })
  }
  return (
    <section aria-label="My courses">
      <h2>My courses</h2>
      <Loaded of={registrations}>
        {registrations.rows.map(({ id, course_id, progress }) => (
          <div key={id} className="progress">
            <span>{titles.get(course_id) ?? 'A course that is closed at the moment'}</span>
            <div
              role="progressbar"
              aria-label={titles.get(course_id) ?? 'Closed course'}
              aria-valuenow={progress}
            >
              <div style={{ width: `${String(progress)}%` }} />
            </div>
            <button
              disabled={progress === 100}
              onClick={() => {
                learn(id)
              }}
            >
              {progress === 100 ? 'Done' : 'Learn'}
            </button>
          </div>
        ))}
        {registrations.rows.length === 0 && <p>Enrol in a course to begin.</p>}
      </Loaded>
      {failure && (
        <p className="refusal" role="alert">
          {failure}
        </p>
      )}
    </section>
  )
}
