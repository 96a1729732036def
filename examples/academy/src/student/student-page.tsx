import type { ReactNode } from 'react'
import { ConnectionLight } from '../parts/connection-light.js'
import { CourseToasts } from '../parts/toasts.js'
import { useSession } from '../session.js'
import { CourseMenu } from './course-menu.js'
import { Courses } from './courses.js'
import { Leaderboard } from './leaderboard.js'
import { MyCourses } from './my-courses.js'
import { Notifications } from './notifications.js'

export function StudentPage(): ReactNode {
  const { person } = useSession()
  return (
    <>
      <header>
        <strong>Academy</strong>
        <CourseMenu />
        <Notifications />
        <span>{person.name}</span>
        <ConnectionLight />
      </header>
      <main className="columns">
        <Courses />
        <div>
          <MyCourses />
          <Leaderboard />
        </div>
      </main>
      <CourseToasts />
    </>
  )
}
