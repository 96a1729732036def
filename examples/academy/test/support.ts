import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { chromium } from 'playwright-core'
import type { BrowserContext, Page } from 'playwright-core'
import { build, preview } from 'vite'
import type { PreviewServer } from 'vite'
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
  readonly #server: PreviewServer
  readonly #windows: { context: BrowserContext; directory: string }[] = []

  private constructor(cluster: Cluster, gateway: Gateway, server: PreviewServer) {
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
    // As a visitor gets it: React's development build keeps a diary of every rendering.
    process.env['NODE_ENV'] = 'production'
    await build({ logLevel: 'silent' })
    const server = await preview({ preview: { port, strictPort: true }, logLevel: 'silent' })
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

  /** Runs statements, each a transaction; returns when the last was committed, by this clock. */
  async sql(...statements: string[]): Promise<number> {
    const client = new pg.Client({ connectionString: this.cluster.url('academy') })
    await client.connect()
    for (const statement of statements) await client.query(statement)
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

/** Waits for a text on a page; tells when it came, by the clock that all processes here share. */
export async function seenAt(page: Page, text: string): Promise<() => Promise<number>> {
  await page.evaluate((wanted) => {
    const seen = window as unknown as Record<string, number>
    const look = (): void => {
      if (!document.body.textContent.includes(wanted)) return
      watch.disconnect()
      // On the screen is what the next frame paints.
      requestAnimationFrame(() => {
        seen[wanted] = Date.now()
      })
    }
    const watch = new MutationObserver(look)
    watch.observe(document.body, { childList: true, subtree: true, characterData: true })
  }, text)
  return async () => {
    const handle = await page.waitForFunction(
      (wanted) => (window as unknown as Record<string, number>)[wanted],
      text,
    )
    return (await handle.jsonValue()) ?? NaN
  }
}

/** What a page did while something happened. */
export interface Effort {
  readonly frames: number
  /** The time between two frames that 95 of 100 stayed below. */
  readonly usualMs: number
  readonly longestMs: number
  /** Of the page's own thread, a frame: what no other process of this machine adds to. */
  readonly cpuMs: number
}

/** Counts the frames that a page paints while `work` runs, and what they cost it. */
export async function framesDuring(page: Page, work: () => Promise<void>): Promise<Effort> {
  const session = await page.context().newCDPSession(page)
  await session.send('Performance.enable')
  const threadMs = async (): Promise<number> => {
    const { metrics } = await session.send('Performance.getMetrics')
    return (metrics.find(({ name }) => name === 'ThreadTime')?.value ?? NaN) * 1000
  }
  await page.evaluate(() => {
    const counted = window as unknown as { gaps: number[] | null }
    const gaps: number[] = []
    counted.gaps = gaps
    let before = performance.now()
    const tick = (now: number): void => {
      gaps.push(now - before)
      before = now
      if (counted.gaps === gaps) requestAnimationFrame(tick)
    }
    requestAnimationFrame(tick)
  })
  const beforeMs = await threadMs()
  await work()
  const spentMs = (await threadMs()) - beforeMs
  await session.detach()
  const gaps = await page.evaluate(() => {
    const counted = window as unknown as { gaps: number[] | null }
    const all = counted.gaps ?? []
    counted.gaps = null
    return all
  })
  gaps.sort((a, b) => a - b)
  const usualMs = gaps[Math.floor(gaps.length * 0.95)] ?? Infinity
  const longestMs = gaps.at(-1) ?? Infinity
  return { frames: gaps.length, usualMs, longestMs, cpuMs: spentMs / gaps.length }
}

/** The bytes that a page holds after everything that can go has gone. */
export async function heapOf(page: Page): Promise<number> {
  const session = await page.context().newCDPSession(page)
  await session.send('HeapProfiler.collectGarbage')
  const { usedSize } = await session.send('Runtime.getHeapUsage')
  await session.detach()
  return usedSize
}
