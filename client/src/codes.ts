import type { EndReason, ErrorCode } from './wire.js'

/** When to come back after a connection ended. */
export type Comeback = 'backoff' | 'later' | 'token' | 'never'

type Close = readonly [comeback: Comeback, meaning?: string]

/** Without a meaning the gateway says why. */
const CLOSES: Readonly<Record<number, Close>> = {
  1001: ['backoff', 'the gateway restarts'],
  1009: ['never', 'too large'],
  4400: ['never', 'bad messages'],
  4401: ['token', 'token refused'],
  4403: ['never'],
  4408: ['backoff', 'too slow'],
  4429: ['later'],
}

/** A limit is not lifted by asking again at once. */
export const LATER_MS = 5_000

export function closeOf(code: number, reason: string): Required<Close> {
  const [comeback, meaning = reason || 'connection lost'] = CLOSES[code] ?? ['backoff']
  return [comeback, meaning]
}

/** What to do with a subscription that got an error. A table that is `gone` may come back. */
export type Remedy = 'never' | 'token' | 'later' | 'gone' | 'afresh'

const REMEDIES: Partial<Record<ErrorCode | EndReason, Remedy>> = {
  bad_cursor: 'afresh',
  // The grant changed with the token: asked again, what the new one covers is sent.
  access_revoked: 'afresh',
  unauthorized: 'token',
  forbidden: 'token',
  unavailable: 'later',
  too_many_subscriptions: 'later',
  too_many_messages: 'later',
  // A migration may drop a table and make it again; settings may give a feed another.
  table_unwatched: 'gone',
  not_found: 'later',
}

/** Asked again as it is, a bad request stays bad; so does what this version does not know. */
export function remedyFor(code: string): Remedy {
  return REMEDIES[code as ErrorCode] ?? 'never'
}
