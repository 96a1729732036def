export interface Person {
  readonly id: string
  readonly name: string
  readonly role: 'student' | 'admin'
}

/** Calls the academy's API; a refusal is thrown with the words of the server. */
export async function call<T>(
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
  path: string,
  body?: object,
  token?: string,
): Promise<T> {
  const response = await fetch(`/api/${path}`, {
    method,
    headers: token ? { authorization: `Bearer ${token}` } : {},
    ...(body ? { body: JSON.stringify(body) } : {}),
  })
  const answer = (await response.json()) as T & { readonly message?: string }
  if (!response.ok)
    throw new Error(answer.message ?? `The server answered ${String(response.status)}.`)
  return answer
}

export async function signIn(person: string): Promise<string> {
  return (await call<{ token: string }>('POST', 'sessions', { person })).token
}
