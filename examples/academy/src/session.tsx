import { createContext, use, useMemo, useState } from 'react'
import type { ReactNode } from 'react'
import { createClient } from 'pgfeed'
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
  const [client] = useState(() => createClient({ getToken: () => signIn(person.id) }))
  const session = useMemo<Session>(() => {
    const act: Act = async (method, path, body) => {
      await call(method, path, body, await signIn(person.id))
    }
    return { person, act }
  }, [person])
  return (
    <SessionContext value={session}>
      <PgfeedProvider client={client}>{children}</PgfeedProvider>
    </SessionContext>
  )
}

export function useSession(): Session {
  const session = use(SessionContext)
  if (!session) throw new Error('nobody is signed in')
  return session
}
