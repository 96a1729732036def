import { useEffect, useState } from 'react'
import type { ReactNode } from 'react'
import { call } from './api.js'
import type { Person } from './api.js'
import { AdminPage } from './admin/admin-page.js'
import { SessionProvider } from './session.js'
import { StudentPage } from './student/student-page.js'

/** `?as=ada` says who looks, so that two windows can be two people. */
export function App(): ReactNode {
  const [people, setPeople] = useState<readonly Person[] | null>(null)
  const [failure, setFailure] = useState<string | null>(null)
  useEffect(() => {
    call<Person[]>('GET', 'people').then(setPeople, (error: unknown) => {
      setFailure(String(error))
    })
  }, [])
  if (failure) return <p className="welcome">The academy does not answer. {failure}</p>
  if (!people) return null
  const person = people.find(({ id }) => id === new URLSearchParams(location.search).get('as'))
  if (!person) return <Welcome people={people} />
  return (
    <SessionProvider person={person}>
      {person.role === 'admin' ? <AdminPage /> : <StudentPage />}
    </SessionProvider>
  )
}

function Welcome({ people }: { readonly people: readonly Person[] }): ReactNode {
  return (
    <main className="welcome">
      <h1>Academy</h1>
      <p>Open two windows side by side, an administrator’s and a student’s.</p>
      <ul>
        {people.map(({ id, name, role }) => (
          <li key={id}>
            <a href={`?as=${id}`}>{name}</a> <small>{role}</small>
          </li>
        ))}
      </ul>
    </main>
  )
}
