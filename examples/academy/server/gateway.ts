import { execFile, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const SETTINGS = fileURLToPath(new URL('../pgfeed.toml', import.meta.url))
const READY = /pgfeed is ready on (http:\S+)/

/** Runs one of the program's commands on a database. */
export async function pgfeed(database: string, ...words: string[]): Promise<void> {
  await run(program(), words, { env: { PATH: process.env['PATH'], DATABASE_URL: database } })
}

/** The gateway as a process of its own, started again when it dies. */
export class Gateway {
  readonly #database: string
  readonly #secret: string
  readonly #origin: string
  #process: ChildProcess | null = null
  #url = ''

  private constructor(database: string, secret: string, origin: string) {
    this.#database = database
    this.#secret = secret
    this.#origin = origin
  }

  /** Starts one for the pages of an origin. */
  static async start(database: string, secret: string, origin: string): Promise<Gateway> {
    const gateway = new Gateway(database, secret, origin)
    await gateway.begin()
    return gateway
  }

  get url(): string {
    return this.#url
  }

  get pid(): number {
    return this.#process?.pid ?? 0
  }

  /** Starts it, on the port that it had, and waits until it says where it listens. */
  async begin(): Promise<void> {
    const listen = this.#url === '' ? '127.0.0.1:0' : new URL(this.#url).host
    const child = spawn(program(), ['serve', '--config', SETTINGS], {
      env: {
        PATH: process.env['PATH'],
        PGFEED__DATABASE__URL: this.#database,
        PGFEED__AUTH__JWT_SECRET: this.#secret,
        PGFEED__SERVER__LISTEN: listen,
        PGFEED__SERVER__ALLOWED_ORIGINS: this.#origin,
        PGFEED__SERVER__CONSOLE: 'true',
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.#process = child
    child.once('exit', () => {
      // As a service manager would. An end that was asked for has taken it off before.
      if (this.#process === child && this.#url !== '') void this.begin()
    })
    this.#url = await readyUrl(child)
  }

  /** Ends it for good, or until `begin`. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#process
    this.#process = null
    if (child?.exitCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }
}

/** Reads its output for ever, so that it never waits for a reader; returns once it is ready. */
function readyUrl(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = ''
    child.stdout?.on('data', (part: Buffer) => {
      said = (said + part.toString()).slice(-1000)
      const url = READY.exec(said)?.[1]
      if (url !== undefined) resolve(url.endsWith('/') ? url : `${url}/`)
    })
    child.once('exit', () => {
      reject(new Error('the gateway ended before it was ready'))
    })
  })
}

function program(): string {
  const given = process.env['PGFEED_PROGRAM']
  if (given) return given
  const built = ['release', 'debug'].map((profile) =>
    fileURLToPath(new URL(`../../../target/${profile}/pgfeed`, import.meta.url)),
  )
  const found = built.find((path) => existsSync(path))
  if (!found) throw new Error('pgfeed is not built: run `cargo build` first')
  return found
}
