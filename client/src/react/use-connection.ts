import { useSyncExternalStore } from 'react'
import { CONNECTING } from '../connection.js'
import type { ConnectionStatus } from '../connection.js'
import { useFeed } from './provider.js'

/** Whether what the page shows is live, and if not, why, and until when. */
export function useConnection(feed?: string): ConnectionStatus {
  const { connection } = useFeed(feed)
  return useSyncExternalStore(connection.subscribe, connection.get, serverStatus)
}

/** The page hydrates as the server rendered it, whatever the connection has become meanwhile. */
function serverStatus(): ConnectionStatus {
  return CONNECTING
}
