/**
 * What a page may tell its reader about the rows it shows:
 * - `connecting`: the first attempt is under way, or the connection was just lost;
 * - `live`: the gateway says that everything committed has been sent here;
 * - `stale`: connected, but the gateway is silent or itself behind the database;
 * - `offline`: attempts fail; the next one is waited for, and `reason` says why;
 * - `closed`: ended by the page, or by the gateway for good.
 */
export type ConnectionState = 'connecting' | 'live' | 'stale' | 'offline' | 'closed'

export type ConnectionEvent = 'fresh' | 'behind' | 'lost' | 'failed' | 'woken' | 'close'

const USUALLY = {
  fresh: 'live',
  behind: 'stale',
  lost: 'connecting',
  failed: 'offline',
  close: 'closed',
  // Only who is not connected is woken.
  woken: 'connecting',
} as const

type OpenState = Exclude<ConnectionState, 'closed'>

// A missing cell is a compile error: every state answers every event.
export const NEXT_STATE: Record<OpenState, Record<ConnectionEvent, ConnectionState>> = {
  connecting: USUALLY,
  live: USUALLY,
  stale: USUALLY,
  // Stays offline through a further attempt, so that an indicator does not flicker.
  offline: { ...USUALLY, lost: 'offline' },
}

/** Nothing leads out of `closed`. */
export function nextState(state: ConnectionState, event: ConnectionEvent): ConnectionState {
  return state === 'closed' ? state : NEXT_STATE[state][event]
}
