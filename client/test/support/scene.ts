import pg from 'pg'
import { inject } from 'vitest'
import { WebSocket } from 'ws'
import { createClient } from '../../src/index.js'
import type { Client, ClientOptions, Readable, Row, SetState, TableEvent } from '../../src/index.js'
import { Gateway, pgfeed } from './gateway.js'
import { until } from './until.js'

const COURSES = `create table courses (
  id bigint generated always as identity primary key,
  title text not null,
  status text not null default 'PUBLISHED',
  seats integer
)`

let scenes = 0

export interface SceneOptions {
  readonly tables?: readonly string[]
  readonly watched?: readonly string[]
  readonly settings?: Record<string, string>
  readonly toml?: string
  /** Another server than the shared one: for tests that crash it. */
  readonly port?: number
}

/** A database of its own with a gateway, and clients that end with it. */
export class Scene {
  readonly gateway: Gateway
  readonly #pool: pg.Pool
  readonly #clients: Client[] = []

  private constructor(gateway: Gateway, pool: pg.Pool) {
    this.gateway = gateway
    this.#pool = pool
  }

  static async set(options: SceneOptions = {}): Promise<Scene> {
    scenes += 1
    const name = `scene_${String(process.pid)}_${String(scenes)}`
    const server = `postgres://postgres@127.0.0.1:${String(options.port ?? inject('clusterPort'))}`
    const admin = new pg.Client({ connectionString: `${server}/postgres` })
    await admin.connect()
    await admin.query(`create database ${name}`)
    await admin.end()
    const url = `${server}/${name}`
    const pool = new pg.Pool({ connectionString: url, max: 8 })
    pool.on('error', () => undefined)
    for (const table of options.tables ?? [COURSES]) await pool.query(table)
    await pgfeed(url, 'install')
    await pgfeed(url, 'watch', ...(options.watched ?? ['courses']))
    return new Scene(await Gateway.start(url, options.settings, options.toml), pool)
  }

  async sql<R extends pg.QueryResultRow = Row>(text: string, values?: unknown[]): Promise<R[]> {
    const result = await this.#pool.query<R>(text, values)
    return result.rows
  }

  /** Several statements as one transaction. */
  async transaction(...statements: string[]): Promise<void> {
    const client = await this.#pool.connect()
    try {
      await client.query(['begin', ...statements, 'commit'].join(';'))
    } finally {
      client.release()
    }
  }

  client(options: ClientOptions = {}): Client {
    const client = createClient({ url: this.gateway.url, WebSocket, ...options })
    this.#clients.push(client)
    return client
  }

  /** A metric of the gateway, summed over its labels. */
  async metric(name: string): Promise<number> {
    const text = await (await fetch(new URL('metrics', this.gateway.url))).text()
    const lines = text.split('\n').filter((line) => new RegExp(`^${name}[ {]`).test(line))
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
  }

  async strike(): Promise<void> {
    for (const client of this.#clients) client.close()
    await this.gateway.drop()
    await this.#pool.end()
  }
}

export function live(client: Client): Promise<void> {
  return until('the connection to be live', () => client.connection.get().state === 'live')
}

/** A set that somebody looks at, and every state it had. */
export interface Watched<R extends object> {
  readonly set: Readable<SetState<R>>
  readonly seen: SetState<R>[]
  /** Waits until a column reads so, and the set is live. */
  shows(column: keyof R, values: readonly unknown[]): Promise<void>
  leave(): void
}

export function watch<R extends object>(set: Readable<SetState<R>>): Watched<R> {
  const seen: SetState<R>[] = []
  const leave = set.subscribe(() => seen.push(set.get()))
  const shows = async (column: keyof R, values: readonly unknown[]): Promise<void> => {
    await until(`${String(column)} to be ${JSON.stringify(values)}`, () => {
      const { rows, status } = set.get()
      const now = JSON.stringify(rows.map((row) => row[column]))
      if (now !== JSON.stringify(values)) throw new Error(`${status} ${now}`)
      return status === 'live'
    })
  }
  return { set, seen, shows, leave }
}

export interface Course {
  readonly id: number
  readonly title: string
  readonly status: string
  readonly seats: number | null
}

/** What happened to a row, in few words. */
export function brief(event: TableEvent<Course>): string {
  if (event.type === 'resync') return `resync ${event.reason}`
  return `${event.effect} ${event.data?.title ?? String(event.key.id)}`
}
