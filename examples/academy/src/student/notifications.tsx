import { useState } from 'react'
import type { ReactNode } from 'react'
import { useTable } from 'pgfeed/react'
import { useSession } from '../session.js'

const SHOWN_MAX = 5

/** The bell: how many are unread, and the latest five. */
export function Notifications(): ReactNode {
  const { act } = useSession()
  const [failure, setFailure] = useState<string | null>(null)
  const { rows } = useTable('notifications', { orderBy: '-id' })
  const unread = rows.filter(({ is_read }) => !is_read).length
  const markAll = (): void => {
    setFailure(null)
    act('POST', 'notifications').catch((error: unknown) => {
      setFailure(String(error))
    })
  }
  return (
    <details className="menu">
      <summary aria-label={`Notifications, ${String(unread)} unread`}>
        Notifications {unread > 0 && <span className="badge unread">{unread}</span>}
      </summary>
      <ul>
        {rows.slice(0, SHOWN_MAX).map(({ id, kind, text, is_read }) => (
          <li key={id} className={is_read ? '' : 'unread'}>
            <small>{kind}</small> {text}
          </li>
        ))}
        {rows.length === 0 && <li>Nothing yet.</li>}
        {unread > 0 && (
          <li>
            <button onClick={markAll}>Mark all as read</button>
          </li>
        )}
        {failure && (
          <li className="refusal" role="alert">
            {failure}
          </li>
        )}
      </ul>
    </details>
  )
}
