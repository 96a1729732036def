import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { chromium } from 'playwright-core'
import { preview } from 'vite'
import { afterEach, expect, test } from 'vitest'
import { Scene } from '../support/scene.js'

const run = promisify(execFile)
const VERSIONS = {
  '@types/react': '19.3.0',
  '@types/react-dom': '19.3.0',
  react: '19.3.1',
  'react-dom': '19.3.1',
  typescript: '5.9.3',
  vite: '8.3.8',
}
const COMPILER = {
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noPropertyAccessFromIndexSignature: true,
  jsx: 'react-jsx',
  module: 'preserve',
  target: 'es2022',
  lib: ['es2022', 'dom'],
  noEmit: true,
}
const PAGE = '<div id="root"></div><script type="module" src="/main.tsx"></script>'
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

const endings: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end()
})

async function temporary(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'pgfeed-fresh-'))
  endings.push(() => rm(directory, { recursive: true, force: true }))
  return directory
}

/** A Vite project of nothing but the packed package and the first example of its README. */
async function freshApp(): Promise<string> {
  const directory = await temporary()
  const [, example] = /```tsx\n([\s\S]*?)```/.exec(await readFile('README.md', 'utf8')) ?? []
  await run('npm', ['pack', '--pack-destination', directory])
  const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string }
  const dependencies = { ...VERSIONS, pgfeed: `file:./pgfeed-${version}.tgz` }
  const files = {
    'package.json': JSON.stringify({ private: true, type: 'module', dependencies }),
    'tsconfig.json': JSON.stringify({ compilerOptions: COMPILER, include: ['main.tsx'] }),
    'index.html': PAGE,
    'main.tsx': example ?? '',
  }
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text)
  const quiet = ['--no-audit', '--no-fund', '--prefer-offline', '--loglevel', 'error']
  await run('npm', ['install', ...quiet], { cwd: directory })
  await run('npx', ['tsc'], { cwd: directory })
  // Vitest's own NODE_ENV would give React's development build.
  const env = { ...process.env, NODE_ENV: 'production' }
  await run('npx', ['vite', 'build'], { cwd: directory, env })
  return directory
}

test('the README’s example works as printed, in an empty project with the packed package', async () => {
  const directory = await freshApp()
  const scene = await Scene.set()
  endings.push(() => scene.strike())
  const site = await preview({
    root: directory,
    configFile: false,
    preview: { port: 0, host: '127.0.0.1' },
    logLevel: 'silent',
  })
  endings.push(() => site.close())
  // The example names the address that everybody starts with; here the gateway has another.
  const route = `--host-resolver-rules=MAP localhost:8080 127.0.0.1:${String(scene.gateway.port)}`
  const browser = await chromium.launchPersistentContext(await temporary(), {
    executablePath: process.env['PGFEED_CHROMIUM'] ?? '/usr/bin/chromium',
    args: [...FLAGS, route],
  })
  endings.push(() => browser.close())
  const page = browser.pages()[0] ?? (await browser.newPage())
  const mistakes: string[] = []
  page.on('pageerror', (error) => mistakes.push(String(error)))
  await scene.sql("insert into courses (title) values ('Rust')")
  await page.goto(site.resolvedUrls?.local[0] ?? '')
  await page.getByText('"title": "Rust"').waitFor()
  await scene.sql("insert into courses (title) values ('SQL')")
  await page.getByText('"title": "SQL"').waitFor()
  await scene.sql("delete from courses where title = 'Rust'")
  await page.getByText('"title": "Rust"').waitFor({ state: 'detached' })
  expect(mistakes).toEqual([])
})
