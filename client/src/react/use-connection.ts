import { useSyncExternalStore } from 'react'
import type { ConnectionStatus } from '../connection.js'
import { usePgfeed } from './provider.js'

/** Whether what the page shows is live, and if not, why, and until when. */
export function useConnection(): ConnectionStatus {
  const { connection } = usePgfeed()
  return useSyncExternalStore(connection.subscribe, connection.get, connection.get)
}
