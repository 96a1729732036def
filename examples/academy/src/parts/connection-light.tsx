import { useEffect, useState } from 'react'
import type { ReactNode } from 'react'
import { useConnection } from 'pgfeed/react'
import type { ConnectionState } from 'pgfeed'

const WORDS: Readonly<Record<ConnectionState, string>> = {
  connecting: 'Connecting…',
  live: 'Live',
  stale: 'Behind',
  offline: 'Offline',
  closed: 'Closed',
}

/** Whether what is on the screen is what is in the database, and if not, why. */
export function ConnectionLight(): ReactNode {
  const { state, reason, retryAt } = useConnection()
  const seconds = useSecondsUntil(retryAt)
  const why = state === 'live' ? null : reason
  return (
    <span className={`light ${state}`} role="status">
      {WORDS[state]}
      {why && <small> {why}</small>}
      {/* Read out each second it would drown all else. */}
      {why && seconds > 0 && <small aria-hidden>, again in {seconds} s</small>}
    </span>
  )
}

function useSecondsUntil(at: number | null): number {
  const [now, setNow] = useState(() => Date.now())
  useEffect(() => {
    if (at === null) return
    const timer = setInterval(() => {
      setNow(Date.now())
    }, 250)
    return () => {
      clearInterval(timer)
    }
  }, [at])
  return at === null ? 0 : Math.max(0, Math.ceil((at - now) / 1000))
}
