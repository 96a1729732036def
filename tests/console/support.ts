import { execFile, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { chromium } from 'playwright-core'
import type { BrowserContext, Page, WebSocketRoute } from 'playwright-core'

const run = promisify(execFile)
const PROGRAM = process.env['PGFEED_PROGRAM'] ?? resolve('../../target/debug/pgfeed')
const BROWSER = process.env['PGFEED_CHROMIUM'] ?? '/usr/bin/chromium'
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]
const SECRET = 'a secret for the console, of more than 32 bytes'

/** What readers without a token see, and what tokens open. */
const SETTINGS = `
[tables."public.registrations"]
read = ["student"]
rows = "student_id=eq.{claims.sub}"

[tables."public.profiles"]
read = ["student"]
columns = ["id", "name"]
`

/** The program with a database of its own, as `pgfeed dev` starts it, and windows before it. */
export class Dev {
  readonly #child: ChildProcess
  readonly #folder: string
  readonly url: string
  readonly database: string
  readonly #windows: BrowserContext[] = []

  private constructor(child: ChildProcess, folder: string, url: string, database: string) {
    this.#child = child
    this.#folder = folder
    this.url = url
    this.database = database
  }

  static async start(settings: Record<string, string> = {}): Promise<Dev> {
    const folder = await mkdtemp(join(tmpdir(), 'pgfeed-console-'))
    // The database runs as an ordinary account, which must be able to pass through.
    await chmod(folder, 0o755)
    const file = join(folder, 'pgfeed.toml')
    await writeFile(file, SETTINGS)
    const child = spawn(PROGRAM, ['dev', '--config', file], {
      env: environment({
        TMPDIR: folder,
        PGFEED__SERVER__LISTEN: '127.0.0.1:0',
        PGFEED__SERVER__HEARTBEAT_MS: '500',
        ...settings,
      }),
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const said = await greeting(child)
    const url = /console +(http:\S+)/.exec(said)?.[1]
    const database = /psql (postgres:\S+)/.exec(said)?.[1]
    if (url === undefined || database === undefined) throw new Error(`not understood: ${said}`)
    return new Dev(child, folder, url, database)
  }

  /** Runs statements, all in one transaction. */
  async sql(text: string): Promise<void> {
    const client = new pg.Client({ connectionString: this.database })
    await client.connect()
    try {
      await client.query(text)
    } finally {
      await client.end()
    }
  }

  /** A token, as the program itself makes them. */
  async token(...words: string[]): Promise<string> {
    const { stdout } = await run(PROGRAM, ['token', ...words], { env: environment({}) })
    return stdout.trim()
  }

  freeze(): void {
    this.#child.kill('SIGSTOP')
  }

  thaw(): void {
    this.#child.kill('SIGCONT')
  }

  /** The console in a browser of its own. */
  async window(look: Look = {}): Promise<Window> {
    const directory = await mkdtemp(join(this.#folder, 'browser-'))
    const context = await chromium.launchPersistentContext(directory, {
      executablePath: BROWSER,
      args: FLAGS,
      viewport: look.viewport ?? { width: 1280, height: 800 },
      colorScheme: look.colorScheme ?? 'light',
    })
    this.#windows.push(context)
    const page = context.pages()[0] ?? (await context.newPage())
    const mistakes: string[] = []
    page.on('pageerror', (error) => mistakes.push(String(error)))
    page.on('console', (message) => {
      // A refused token is told by the status 401, which a browser prints by itself.
      const isStatus = message.text().includes('status of 401')
      if (message.type() === 'error' && !isStatus) mistakes.push(message.text())
    })
    page.on('dialog', (dialog) => {
      mistakes.push(`a dialog: ${dialog.message()}`)
      void dialog.dismiss()
    })
    page.on('request', (request) => {
      if (!request.url().startsWith(new URL('/', this.url).href)) {
        mistakes.push(`a request to ${request.url()}`)
      }
    })
    if (look.onSocket) await page.routeWebSocket('**/ws/changes/', look.onSocket)
    await page.goto(this.url)
    await page.getByText('Live', { exact: true }).waitFor()
    return { page, mistakes }
  }

  async end(): Promise<void> {
    for (const context of this.#windows) await context.close()
    const ended = once(this.#child, 'exit')
    this.#child.kill('SIGCONT')
    this.#child.kill('SIGINT')
    await ended
    await rm(this.#folder, { recursive: true, force: true })
  }
}

export interface Look {
  readonly viewport?: { readonly width: number; readonly height: number }
  readonly colorScheme?: 'light' | 'dark'
  /** Stands between the page and the gateway. */
  readonly onSocket?: (route: WebSocketRoute) => void
}

export interface Window {
  readonly page: Page
  /** Errors, violations of the content policy, requests to elsewhere. */
  readonly mistakes: readonly string[]
}

/** What it prints up to the last line of its greeting. */
function greeting(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = ''
    child.stdout?.on('data', (part: Buffer) => {
      said += part.toString()
      if (said.includes('Ctrl-C stops it')) resolve(said)
    })
    child.once('exit', () => {
      reject(new Error(`it ended before it was ready: ${said}`))
    })
  })
}

function environment(more: Record<string, string>): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], PGFEED__AUTH__JWT_SECRET: SECRET, ...more }
}
