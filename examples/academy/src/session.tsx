import { createContext, use, useMemo, useState } from 'react'
import type { ReactNode } from 'react'
import { createClient } from 'pgfeed'
import type { Client } from 'pgfeed'
import { PgfeedProvider } from 'pgfeed/react'
import { call, signIn } from './api.js'
import type { Person } from './api.js'

/** Writes through the API as the person who is signed in. */
export type Act = (
  method: 'POST' | 'PATCH' | 'DELETE',
  path: string,
  body?: object,
) => Promise<void>

export interface Session {
  readonly person: Person
  readonly act: Act
}

const SessionContext = createContext<Session | null>(null)

/** Who looks at this window. The client is made once and outlives every page in it. */
export function SessionProvider({
  person,
  children,
}: {
  readonly person: Person
  readonly children: ReactNode
}): ReactNode {
  const [{ client, act }] = useState(() => begin(person))
  const session = useMemo<Session>(() => ({ person, act }), [person, act])
  return (
    <SessionContext value={session}>
      <PgfeedProvider client={client}>{children}</PgfeedProvider>
    </SessionContext>
  )
}

/** Reads go over the feed and writes through the API, both with the newest token. */
function begin(person: Person): { readonly client: Client; readonly act: Act } {
  let token = ''
  const getToken = async (): Promise<string> => (token = await signIn(person.id))
  const act: Act = async (method, path, body) => {
    await call(method, path, body, token || (await getToken()))
  }
  return { client: createClient({ getToken }), act }
}

export function useSession(): Session {
  const session = use(SessionContext)
  if (!session) throw new Error('nobody is signed in')
  return session
}
