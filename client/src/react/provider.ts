import { createContext, createElement, useContext, useMemo } from 'react'
import type { ReactElement, ReactNode } from 'react'
import type { Client } from '../client.js'
import type { OpenFeed } from '../feed.js'

interface Place {
  readonly client: Client
  readonly feed: string | undefined
}

const PlaceContext: React.Context<Place | null> = createContext<Place | null>(null)

export interface PgfeedProviderProps {
  /** Made outside the components, once: it holds the connections. */
  readonly client: Client
  /** A declared feed, `student/7`, for all hooks within that name no other. */
  readonly feed?: string | undefined
  readonly children?: ReactNode
}

export function PgfeedProvider({ client, feed, children }: PgfeedProviderProps): ReactElement {
  const place = useMemo<Place>(() => ({ client, feed }), [client, feed])
  return createElement(PlaceContext.Provider, { value: place }, children)
}

export function usePgfeed(): Client {
  return usePlace().client
}

/** What a hook follows: the feed that it names, else the provider's, else the client's own tables. */
export function useFeed(named: string | undefined): OpenFeed {
  const { client, feed = '' } = usePlace()
  const path = named ?? feed
  return path === '' ? client : client.feed(path)
}

function usePlace(): Place {
  const place = useContext(PlaceContext)
  if (!place) throw new Error('pgfeed: no client here; put the page into <PgfeedProvider>')
  return place
}
