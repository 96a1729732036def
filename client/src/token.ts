const TIMER_MAX_MS = 2 ** 31 - 1

type Claims = Readonly<Record<string, unknown>>

/** A claim of a JWT, read without checking it: the gateway checks. */
function claim(token: string | null, name: string): unknown {
  try {
    const body = (token ?? '').split('.')[1] ?? ''
    return (JSON.parse(atob(body.replace(/-/g, '+').replace(/_/g, '/'))) as Claims)[name]
  } catch {
    return undefined
  }
}

/** Whose token it is, null without one; a change of it voids what the page holds. */
export function subjectOf(token: string | null): unknown {
  return token ? (claim(token, 'sub') ?? '') : null
}

/** How long until a new token should be fetched, or null where the token tells no end. */
export function refreshInMs(token: string | null, nowMs: number): number | null {
  const exp = claim(token, 'exp')
  if (typeof exp !== 'number') return null
  const leftMs = exp * 1000 - nowMs
  // At least a second apart, so that a page whose clock is ahead does not spin.
  return Math.min(TIMER_MAX_MS, Math.max(1000, leftMs - Math.min(30_000, leftMs * 0.2)))
}
