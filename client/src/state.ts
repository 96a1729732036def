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

// A missing cell is a compile error: every state answers every event.
export const NEXT_STATE: Record<ConnectionState, Record<ConnectionEvent, ConnectionState>> = {
  connecting: {
    fresh: 'live',
    behind: 'stale',
    lost: 'connecting',
    failed: 'offline',
    woken: 'connecting',
    close: 'closed',
  },
  live: {
    fresh: 'live',
    behind: 'stale',
    lost: 'connecting',
    failed: 'offline',
    woken: 'live',
    close: 'closed',
  },
  stale: {
    fresh: 'live',
    behind: 'stale',
    lost: 'connecting',
    failed: 'offline',
    woken: 'stale',
    close: 'closed',
  },
  // Stays offline through a further attempt, so that an indicator does not flicker.
  offline: {
    fresh: 'live',
    behind: 'stale',
    lost: 'offline',
    failed: 'offline',
    woken: 'connecting',
    close: 'closed',
  },
  closed: {
    fresh: 'closed',
    behind: 'closed',
    lost: 'closed',
    failed: 'closed',
    woken: 'closed',
    close: 'closed',
  },
}
