import { execFile, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { freePort } from './port.js'
import { until } from './until.js'

const run = promisify(execFile)
const BUILT = resolve('../target/debug/pgfeed')
const PROGRAM = process.env['PGFEED_PROGRAM'] ?? BUILT
const SECRET = 'a secret for tests, of more than 32 bytes'

/** Runs one of the program's commands on a database. */
export async function pgfeed(databaseUrl: string, ...words: string[]): Promise<string> {
  const { stdout } = await run(PROGRAM, words, { env: environment({ DATABASE__URL: databaseUrl }) })
  return stdout
}

/** A gateway as a process of its own. It keeps its port, so that it can come back to it. */
export class Gateway {
  readonly port: number
  readonly #settings: Record<string, string>
  readonly #file: string
  #process: ChildProcess | null = null
  #output = ''

  private constructor(port: number, settings: Record<string, string>, file: string) {
    this.port = port
    this.#settings = settings
    this.#file = file
  }

  /** Starts one on a database, with settings by variable (`SERVER__HEARTBEAT_MS`) and by TOML. */
  static async start(
    databaseUrl: string,
    settings: Record<string, string> = {},
    toml = '',
  ): Promise<Gateway> {
    const directory = await mkdtemp(join(tmpdir(), 'pgfeed-client-'))
    const file = join(directory, 'pgfeed.toml')
    await writeFile(file, toml)
    const port = await freePort()
    const defaults = {
      DATABASE__URL: databaseUrl,
      SERVER__LISTEN: `127.0.0.1:${String(port)}`,
      SERVER__ALLOWED_ORIGINS: '*',
      ACCESS__DEFAULT: 'anyone',
      AUTH__JWT_SECRET: SECRET,
    }
    const gateway = new Gateway(port, { ...defaults, ...settings }, file)
    await gateway.restart()
    return gateway
  }

  get url(): string {
    return `http://127.0.0.1:${String(this.port)}/`
  }

  get output(): string {
    return this.#output
  }

  /** Starts it again and waits until it can serve. */
  async restart(): Promise<void> {
    await this.end('SIGKILL')
    this.#process = spawn(PROGRAM, ['serve', '--config', this.#file], {
      env: environment(this.#settings),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const keep = (text: Buffer): void => {
      this.#output += text.toString()
    }
    this.#process.stdout?.on('data', keep)
    this.#process.stderr?.on('data', keep)
    await until(`the gateway to be ready; it said:\n${this.#output}`, async () => {
      if (this.#process?.exitCode !== null) throw new Error(this.#output)
      return (await fetch(new URL('readyz', this.url))).ok
    })
  }

  /** Sends a signal and waits for the end. */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const process = this.#process
    this.#process = null
    if (process?.exitCode !== null) return
    const ended = new Promise((resolve) => process.once('exit', resolve))
    process.kill(signal)
    await ended
  }

  /** Stops it, and waits until no thread of it runs: one may still answer after the signal. */
  async freeze(): Promise<void> {
    this.#process?.kill('SIGSTOP')
    const tasks = `/proc/${String(this.#process?.pid)}/task`
    await until('every thread to stand still', async () => {
      const stats = (await readdir(tasks)).map((task) => readFile(`${tasks}/${task}/stat`, 'utf8'))
      return (await Promise.all(stats)).every((stat) => /\) [Tt] /.test(stat))
    })
  }

  thaw(): void {
    this.#process?.kill('SIGCONT')
  }

  async drop(): Promise<void> {
    await this.end('SIGKILL')
    await rm(join(this.#file, '..'), { recursive: true, force: true })
  }
}

/** A token that the gateways here accept. */
export function sign(claims: Record<string, unknown>, lifetimeS = 600): string {
  const nowS = Math.floor(Date.now() / 1000)
  const parts = [
    { alg: 'HS256', typ: 'JWT' },
    { iat: nowS, exp: nowS + lifetimeS, ...claims },
  ].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
  const text = parts.join('.')
  return `${text}.${createHmac('sha256', SECRET).update(text).digest('base64url')}`
}

function environment(settings: Record<string, string>): NodeJS.ProcessEnv {
  const named = Object.entries(settings).map(([name, value]) => [`PGFEED__${name}`, value])
  return { PATH: process.env['PATH'], ...Object.fromEntries(named) } as NodeJS.ProcessEnv
}
