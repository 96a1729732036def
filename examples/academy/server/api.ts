import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Pool, PoolClient } from 'pg'
import { sign, verify } from './token.js'
import type { Claims } from './token.js'

type Body = Readonly<Record<string, unknown>>
type Handler = (call: Call) => Promise<unknown>

interface Call {
  readonly db: PoolClient
  readonly id: string
  readonly body: Body
  readonly claims: Claims | null
}

class Refusal extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** The academy's own API: plain writes. That they reach every page is the gateway's work. */
export function createApi(pool: Pool, secret: string) {
  const routes: Readonly<Record<string, Handler>> = {
    'GET people': ({ db }) => rows(db, 'select id, name, role from people order by role desc, id'),
    'POST sessions': async ({ db, body }) => {
      const [person] = await rows(db, 'select id, role from people where id = $1', body['person'])
      if (!person) throw new Refusal(404, 'Nobody of that name.')
      return { token: sign(secret, String(person['id']), String(person['role'])) }
    },
    'POST courses': async (call) => {
      admin(call)
      return rows(
        call.db,
        'insert into courses (title, summary, status) values ($1, $2, $3) returning id',
        text(call.body, 'title'),
        text(call.body, 'summary'),
        text(call.body, 'status'),
      )
    },
    'PATCH courses': async (call) => {
      admin(call)
      const { title, summary, status } = call.body
      return rows(
        call.db,
        `update courses set title = coalesce($2, title), summary = coalesce($3, summary),
           status = coalesce($4, status) where id = $1`,
        call.id,
        title ?? null,
        summary ?? null,
        status ?? null,
      )
    },
    'DELETE courses': async (call) => {
      admin(call)
      return rows(call.db, 'delete from courses where id = $1', call.id)
    },
    'POST registrations': enrol,
    'PATCH registrations': learn,
    'POST notifications': async (call) =>
      rows(
        call.db,
        'update notifications set is_read = true where person_id = $1 and not is_read',
        person(call),
      ),
  }

  return (request: IncomingMessage, response: ServerResponse): void => {
    answer(pool, secret, routes, request)
      .then((result) => {
        send(response, 200, result)
      })
      .catch((error: unknown) => {
        const status = error instanceof Refusal ? error.status : 500
        send(response, status, { message: error instanceof Error ? error.message : 'failed' })
      })
  }
}

async function answer(
  pool: Pool,
  secret: string,
  routes: Readonly<Record<string, Handler>>,
  request: IncomingMessage,
): Promise<unknown> {
  const [, name = '', id = ''] = (request.url ?? '').split('?')[0]?.split('/') ?? []
  const route = routes[`${request.method ?? ''} ${name}`]
  if (!route) throw new Refusal(404, 'No such address.')
  const body = await read(request)
  const token = request.headers.authorization?.replace(/^Bearer /, '')
  const db = await pool.connect()
  try {
    await db.query('begin')
    const result = await route({ db, id, body, claims: token ? verify(secret, token) : null })
    await db.query('commit')
    return result
  } catch (error) {
    await db.query('rollback')
    throw error
  } finally {
    db.release()
  }
}

/** What happens at an enrolment is one transaction, and so appears on the pages at once. */
async function enrol(call: Call): Promise<unknown> {
  const [course] = await rows(
    call.db,
    "select title from courses where id = $1 and status = 'PUBLISHED'",
    call.body['course'],
  )
  if (!course) throw new Refusal(404, 'No such course.')
  await rows(
    call.db,
    'insert into registrations (person_id, course_id) values ($1, $2) on conflict do nothing',
    person(call),
    call.body['course'],
  )
  await tell(call, 'enrolment', `You are enrolled in “${String(course['title'])}”.`)
  return tell(call, 'payment', `Payment approved for “${String(course['title'])}”.`)
}

const POINTS_A_STEP = 10

async function learn(call: Call): Promise<unknown> {
  const [now] = await rows(
    call.db,
    `update registrations r set progress = least(100, progress + $3) from courses c
     where r.id = $1 and r.person_id = $2 and r.progress < 100 and c.id = r.course_id
     returning r.progress, c.title`,
    call.id,
    person(call),
    POINTS_A_STEP,
  )
  if (!now) throw new Refusal(404, 'No such registration, or it is complete.')
  await rows(
    call.db,
    'update scores set points = points + $2 where person_id = $1',
    person(call),
    POINTS_A_STEP,
  )
  if (now['progress'] !== 100) return now
  return tell(call, 'certificate', `Certificate issued: “${String(now['title'])}”.`)
}

function tell(call: Call, kind: string, words: string): Promise<unknown> {
  return rows(
    call.db,
    'insert into notifications (person_id, kind, text) values ($1, $2, $3)',
    person(call),
    kind,
    words,
  )
}

async function rows(db: PoolClient, sql: string, ...values: unknown[]): Promise<Body[]> {
  return (await db.query<Record<string, unknown>>(sql, values)).rows
}

function person({ claims }: Call): string {
  if (!claims) throw new Refusal(401, 'Sign in first.')
  return claims.sub
}

function admin({ claims }: Call): void {
  if (claims?.role !== 'admin') throw new Refusal(403, 'Only administrators may do that.')
}

function text(body: Body, name: string): string {
  const value = body[name]
  if (typeof value !== 'string') throw new Refusal(400, `“${name}” is missing.`)
  return value
}

const BODY_BYTES_MAX = 10_000

async function read(request: IncomingMessage): Promise<Body> {
  let words = ''
  for await (const part of request) {
    words += String(part)
    if (words.length > BODY_BYTES_MAX) throw new Refusal(413, 'Too long.')
  }
  return words === '' ? {} : (JSON.parse(words) as Body)
}

function send(response: ServerResponse, status: number, result: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(result ?? null))
}
