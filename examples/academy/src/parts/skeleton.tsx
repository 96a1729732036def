import type { ReactNode } from 'react'
import type { SetState } from 'pgfeed'

/** Grey lines until the rows are there; what is wrong, if they cannot be. */
export function Loaded({
  of: { status, error },
  lines = 3,
  children,
}: {
  readonly of: Pick<SetState, 'status' | 'error'>
  readonly lines?: number
  readonly children: ReactNode
}): ReactNode {
  if (status === 'error')
    return (
      <p className="refusal" role="alert">
        {error?.message}
      </p>
    )
  if (status !== 'loading') return children
  return (
    <div className="skeleton" aria-busy="true" aria-label="Loading">
      {Array.from({ length: lines }, (_, line) => (
        <div key={line} />
      ))}
    </div>
  )
}
