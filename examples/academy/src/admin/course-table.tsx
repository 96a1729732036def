import { useState } from 'react'
import type { ReactNode } from 'react'
import { useTable } from 'pgfeed/react'
import { Loaded } from '../parts/skeleton.js'
import { useSession } from '../session.js'
import type { Course } from '../tables.js'

/** All courses, drafts too: an administrator's grant has every row. */
export function CourseTable(): ReactNode {
  const courses = useTable('courses', { orderBy: '-id' })
  return (
    <section aria-label="All courses">
      <h2>All courses</h2>
      <Loaded of={courses}>
        {courses.rows.map((course) => (
          <CourseLine key={course.id} course={course} />
        ))}
      </Loaded>
    </section>
  )
}

function CourseLine({ course }: { readonly course: Course }): ReactNode {
  const { act } = useSession()
  const [draft, setDraft] = useState<string | null>(null)
  const [failure, setFailure] = useState<string | null>(null)
  const path = `courses/${String(course.id)}`
  const write = (method: 'PATCH' | 'DELETE', body?: object): void => {
    act(method, path, body).then(
      () => {
        setDraft(null)
        setFailure(null)
      },
      (error: unknown) => {
        setFailure(String(error))
      },
    )
  }
  const isDraft = course.status === 'DRAFT'
  return (
    <div className="line" role="group" aria-label={course.title}>
      {draft === null ? (
        <span className={isDraft ? 'draft' : ''}>{course.title}</span>
      ) : (
        <input
          aria-label="New title"
          value={draft}
          onChange={(event) => {
            setDraft(event.target.value)
          }}
        />
      )}
      {draft === null ? (
        <button
          onClick={() => {
            setDraft(course.title)
          }}
        >
          Edit
        </button>
      ) : (
        <button
          onClick={() => {
            write('PATCH', { title: draft })
          }}
        >
          Save
        </button>
      )}
      <button
        onClick={() => {
          write('PATCH', { status: isDraft ? 'PUBLISHED' : 'DRAFT' })
        }}
      >
        {isDraft ? 'Publish' : 'Unpublish'}
      </button>
      <button
        onClick={() => {
          write('DELETE')
        }}
      >
        Delete
      </button>
      {failure && (
        <p className="refusal" role="alert">
          {failure}
        </p>
      )}
    </div>
  )
}
