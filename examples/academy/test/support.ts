import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { chromium } from 'playwright-core'
import type { BrowserContext, Page } from 'playwright-core'
import { createServer } from 'vite'
import type { ViteDevServer } from 'vite'
import { Cluster } from '../../../client/test/support/cluster.js'
import { freePort } from '../../../client/test/support/port.js'
import { Gateway } from '../server/gateway.js'
import { prepare } from '../server/prepare.js'

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
const SECRET = 'a secret for the academy, of more than 32 bytes'

/** The whole academy, and windows into it. */
export class Academy {
  readonly cluster: Cluster
  readonly gateway: Gateway
  readonly #server: ViteDevServer
  readonly #windows: { context: BrowserContext; directory: string }[] = []

  private constructor(cluster: Cluster, gateway: Gateway, server: ViteDevServer) {
    this.cluster = cluster
    this.gateway = gateway
    this.#server = server
  }

  static async open(): Promise<Academy> {
    const cluster = await Cluster.start()
    const database = await cluster.createDatabase('academy')
    await prepare(database)
    const port = await freePort()
    const gateway = await Gateway.start(database, SECRET, `http://localhost:${String(port)}`)
    process.env['DATABASE_URL'] = database
    process.env['JWT_SECRET'] = SECRET
    process.env['GATEWAY_URL'] = gateway.url
    const server = await createServer({ server: { port, strictPort: true }, logLevel: 'silent' })
    await server.listen()
    return new Academy(cluster, gateway, server)
  }

  /** A window of a browser of its own, with its mistakes kept. */
  async window(person: string): Promise<Window> {
    const directory = await mkdtemp(join(tmpdir(), 'academy-'))
    const context = await chromium.launchPersistentContext(directory, {
      executablePath: BROWSER,
      args: FLAGS,
      viewport: { width: 800, height: 640 },
    })
    this.#windows.push({ context, directory })
    const page = context.pages()[0] ?? (await context.newPage())
    const mistakes: string[] = []
    const signIns: number[] = []
    page.on('request', (request) => {
      if (request.url().endsWith('/api/sessions')) signIns.push(Date.now())
    })
    page.on('pageerror', (error) => mistakes.push(String(error)))
    await page.goto(`${this.#server.resolvedUrls?.local[0] ?? ''}?as=${person}`)
    await page.locator('.light.live').waitFor()
    return { page, mistakes, signIns }
  }

  /** Runs a statement; returns when it was committed by this clock. */
  async sql(text: string): Promise<number> {
    const client = new pg.Client({ connectionString: this.cluster.url('academy') })
    await client.connect()
    await client.query(text)
    const committedAt = Date.now()
    await client.end()
    return committedAt
  }

  async close(): Promise<void> {
    for (const { context, directory } of this.#windows) {
      await context.close()
      await rm(directory, { recursive: true, force: true })
    }
    await this.#server.close()
    await this.gateway.end('SIGTERM')
    await this.cluster.drop()
  }
}

export interface Window {
  readonly page: Page
  readonly mistakes: readonly string[]
  /** When it fetched a token. */
  readonly signIns: readonly number[]
}

/** When a text came onto a page, by the clock that all processes here share. */
export async function seenAt(page: Page, text: string): Promise<() => Promise<number>> {
  await page.evaluate((wanted) => {
    const seen = window as unknown as Record<string, number>
    const look = (): void => {
      if (document.body.textContent.includes(wanted)) seen[wanted] ??= Date.now()
    }
    new MutationObserver(look).observe(document.body, {
      childList: true,
      subtree: true,
      characterData: true,
    })
  }, text)
  return async () => {
    const handle = await page.waitForFunction(
      (wanted) => (window as unknown as Record<string, number>)[wanted],
      text,
    )
    return (await handle.jsonValue()) ?? NaN
  }
}
