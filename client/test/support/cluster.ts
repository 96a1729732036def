import { execFile, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { chown, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { until } from './until.js'
import { freePort } from './port.js'

const run = promisify(execFile)
const SYSTEM_DIRECTORY = '/usr/lib/postgresql'

/** A throwaway PostgreSQL, as a real one is run. */
export class Cluster {
  readonly #bin: string
  readonly #directory: string
  readonly port: number
  #server: ChildProcess | null = null

  private constructor(bin: string, directory: string, port: number) {
    this.#bin = bin
    this.#directory = directory
    this.port = port
  }

  static async start(): Promise<Cluster> {
    const directory = await mkdtemp(join(tmpdir(), 'pgfeed-client-'))
    const cluster = new Cluster(await binaries(), directory, await freePort())
    const owner = await ownerId()
    if (owner !== null) await chown(directory, owner, owner)
    await run(join(cluster.#bin, 'initdb'), cluster.#initArguments(), await as(owner))
    await cluster.restart()
    return cluster
  }

  url(database: string): string {
    return `postgres://postgres@127.0.0.1:${String(this.port)}/${database}`
  }

  /** Runs statements in a database, one connection for all. */
  async query(database: string, ...statements: string[]): Promise<pg.QueryResult[]> {
    const client = new pg.Client({ connectionString: this.url(database) })
    // A server that is stopped under an idle connection says so here, too.
    client.on('error', () => undefined)
    await client.connect()
    try {
      const results = []
      for (const statement of statements) results.push(await client.query(statement))
      return results
    } finally {
      await client.end()
    }
  }

  async createDatabase(name: string): Promise<string> {
    await this.query('postgres', `create database ${name}`)
    return this.url(name)
  }

  /** Ends the server as a power cut would, and waits until it is gone. */
  async crash(): Promise<void> {
    await this.#end('SIGQUIT')
  }

  async restart(): Promise<void> {
    if (this.#server) await this.#end('SIGINT')
    const port = String(this.port)
    const options = ['-D', this.#data, '-p', port, '-k', this.#directory, '-h', '127.0.0.1']
    this.#server = spawn(join(this.#bin, 'postgres'), options, {
      ...(await as(await ownerId())),
      stdio: 'ignore',
    })
    await until('PostgreSQL to answer', async () => {
      await this.query('postgres', 'select 1')
      return true
    })
  }

  async drop(): Promise<void> {
    await this.#end('SIGINT')
    await rm(this.#directory, { recursive: true, force: true })
  }

  get #data(): string {
    return join(this.#directory, 'data')
  }

  #initArguments(): string[] {
    return ['-D', this.#data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-sync']
  }

  async #end(signal: 'SIGINT' | 'SIGQUIT'): Promise<void> {
    const server = this.#server
    this.#server = null
    if (server?.exitCode !== null) return
    const ended = new Promise((resolve) => server.once('exit', resolve))
    server.kill(signal)
    await ended
  }
}

async function binaries(): Promise<string> {
  const named = process.env['PGFEED_PG_BIN']
  if (named) return named
  const versions = await readdir(SYSTEM_DIRECTORY).catch(() => [])
  const newest = versions.sort((a, b) => Number(b) - Number(a))[0]
  if (newest === undefined) throw new Error('no PostgreSQL here: install it, or set PGFEED_PG_BIN')
  return join(SYSTEM_DIRECTORY, newest, 'bin')
}

/** PostgreSQL refuses to run as root: then its own user runs it. */
async function ownerId(): Promise<number | null> {
  if (process.getuid?.() !== 0) return null
  const { stdout } = await run('id', ['-u', 'postgres'])
  return Number(stdout)
}

async function as(owner: number | null): Promise<{ uid?: number; gid?: number }> {
  return Promise.resolve(owner === null ? {} : { uid: owner, gid: owner })
}
