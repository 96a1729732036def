import { useState } from 'react'
import type { ReactNode } from 'react'
import { useTable } from 'pgfeed/react'
import { Loaded } from '../parts/skeleton.js'
import { useSession } from '../session.js'
import type { Course } from '../tables.js'

export function Courses(): ReactNode {
  const courses = useTable('courses', { orderBy: 'title' })
  const { rows: registrations } = useTable('registrations')
  const enrolled = new Set(registrations.map(({ course_id }) => course_id))
  return (
    <section aria-label="Courses">
      <h2>Courses</h2>
      <Loaded of={courses} lines={6}>
        {courses.rows.map((course) => (
          <CourseCard key={course.id} course={course} isEnrolled={enrolled.has(course.id)} />
        ))}
        {courses.rows.length === 0 && <p>No course is open at the moment.</p>}
      </Loaded>
    </section>
  )
}

function CourseCard({
  course,
  isEnrolled,
}: {
  readonly course: Course
  readonly isEnrolled: boolean
}): ReactNode {
  const { act } = useSession()
  // Taken as done when asked for; the row that comes through the feed makes it so.
  const [isAsked, setIsAsked] = useState(false)
  const [failure, setFailure] = useState<string | null>(null)
  // From there on the row is the truth, also when it is taken away again.
  if (isEnrolled && isAsked) setIsAsked(false)
  const enrol = (): void => {
    setIsAsked(true)
    setFailure(null)
    act('POST', 'registrations', { course: course.id }).catch((error: unknown) => {
      setIsAsked(false)
      setFailure(String(error))
    })
  }
  return (
    <article id={`course-${String(course.id)}`} className="card">
      <h3>{course.title}</h3>
      <p>{course.summary}</p>
      {isEnrolled || isAsked ? (
        <span className="done">Enrolled</span>
      ) : (
        <button onClick={enrol}>Enrol</button>
      )}
      {failure && (
        <p className="refusal" role="alert">
          {failure}
        </p>
      )}
    </article>
  )
}
