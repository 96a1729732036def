import { createContext, createElement, useContext } from 'react'
import type { ReactElement, ReactNode } from 'react'
import type { Client } from '../client.js'

const ClientContext: React.Context<Client | null> = createContext<Client | null>(null)

export interface PgfeedProviderProps {
  /** Made outside the components, once: it holds the connection. */
  readonly client: Client
  readonly children?: ReactNode
}

export function PgfeedProvider({ client, children }: PgfeedProviderProps): ReactElement {
  return createElement(ClientContext.Provider, { value: client }, children)
}

export function usePgfeed(): Client {
  const client = useContext(ClientContext)
  if (!client) throw new Error('pgfeed: no client here; put the page into <PgfeedProvider>')
  return client
}
