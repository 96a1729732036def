import type { ReactNode } from 'react'
import { useTable } from 'pgfeed/react'
import { Loaded } from '../parts/skeleton.js'
import { useSession } from '../session.js'

export function Leaderboard(): ReactNode {
  const { person } = useSession()
  const scores = useTable('scores', { orderBy: ['-points', 'name'] })
  return (
    <section aria-label="Leaderboard">
      <h2>Leaderboard</h2>
      <Loaded of={scores}>
        <ol className="leaderboard">
          {scores.rows.map(({ person_id, name, points }) => (
            <li key={person_id} className={person_id === person.id ? 'me' : ''}>
              <span>{name}</span> <b>{points}</b>
            </li>
          ))}
        </ol>
      </Loaded>
    </section>
  )
}
