import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { pgfeed } from '../support/gateway.js'

const run = promisify(execFile)
const SERVER = `postgres://postgres@127.0.0.1:${String(inject('clusterPort'))}`
const DATABASE = `generated_types_${String(process.pid)}`

const TABLES = `
  create type level as enum ('easy', 'it''s hard');
  create type place as (x int, y int);
  create table courses (id bigint primary key, title text not null, level level, tags text[],
    prices numeric[] not null, plan jsonb, at timestamptz, "odd name" place);
  create schema sales;
  create table sales.orders (id int primary key);
  create table record (id int primary key);
  create table tables (id int primary key)`

/** What a page does with them, and what it must not be able to do. */
const USE = `
import { createClient } from 'pgfeed'
import { useTable } from 'pgfeed/react'
import type { Courses } from './tables.js'

const client = createClient()
client.table('courses').subscribe((event) => {
  if (event.type !== 'change') return
  const title: string | undefined = event.data?.title
  const level: 'easy' | "it's hard" | null | undefined = event.data?.level
  const tags: readonly string[] | null | undefined = event.data?.tags
  const x: unknown = event.data?.['odd name']?.['x']
  console.log(title, level, tags, x)
})
export const rows: readonly Courses[] = useTable('courses').rows
export const ids: number[] = client.live('sales.orders').get().rows.map((row) => row.id)
export const own: string | undefined = client.live('tables').get().rows[0]?.id.toFixed()
// @ts-expect-error -- No such table.
client.table('course')
// @ts-expect-error -- No such column.
console.log(rows[0]?.titel)
// @ts-expect-error -- It may be null.
console.log(rows[0]?.tags.length)
`

let folder: string
let url: string

beforeAll(async () => {
  const admin = new pg.Client({ connectionString: `${SERVER}/postgres` })
  await admin.connect()
  await admin.query(`create database ${DATABASE}`)
  await admin.end()
  url = `${SERVER}/${DATABASE}`
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(TABLES)
  await client.end()
  await pgfeed(url, 'install')
  await pgfeed(url, 'watch', 'courses', 'sales.orders', 'record', 'tables')
  // Inside the package, so that React's types are found from there.
  await mkdir('node_modules/.cache', { recursive: true })
  folder = await mkdtemp(resolve('node_modules/.cache/generated-types-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

async function complaints(exact: boolean): Promise<string> {
  const file = join(folder, 'tables.ts')
  await pgfeed(url, 'types', '--out', file, ...(exact ? ['--exact'] : []))
  await writeFile(join(folder, 'use.ts'), USE)
  const settings = {
    extends: resolve('tsconfig.json'),
    compilerOptions: {
      noEmit: true,
      types: [],
      paths: { pgfeed: [resolve('src/index.ts')], 'pgfeed/react': [resolve('src/react/index.ts')] },
    },
    include: [join(folder, '*.ts')],
    exclude: [],
  }
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(settings))
  const tsc = resolve('node_modules/typescript/bin/tsc')
  try {
    await run(process.execPath, [tsc, '--noEmit', '--strict', '-p', folder])
    return ''
  } catch (error) {
    return (error as { stdout: string }).stdout
  }
}

test('what `pgfeed types` prints compiles and gives tables their rows', async () => {
  expect(await complaints(false)).toBe('')
})

test('the exact types compile, and know that a list may have holes', async () => {
  const said = await complaints(true)
  // One line of the page is now too careless, and nothing else is wrong.
  expect(
    said
      .trim()
      .split('\\n')
      .filter((line) => line.includes('error TS')),
  ).toHaveLength(1)
  expect(said).toContain("'readonly (string | null)[]'")
})
