import { useSyncExternalStore } from 'react'
import type { ConnectionStatus } from '../connection.js'
import { useFeed } from './provider.js'

/** Whether what the page shows is live, and if not, why, and until when. */
export function useConnection(feed?: string): ConnectionStatus {
  const { connection } = useFeed(feed)
  return useSyncExternalStore(connection.subscribe, connection.get, connection.get)
}
