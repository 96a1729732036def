import { readFile } from 'node:fs/promises'
import pg from 'pg'
import { pgfeed } from './gateway.js'

export const TABLES = ['courses', 'registrations', 'notifications', 'scores'] as const

/** Puts the academy's tables and the feed into a database. Safe to repeat. */
export async function prepare(database: string): Promise<void> {
  const client = new pg.Client({ connectionString: database })
  await client.connect()
  await client.query(await readFile(new URL('schema.sql', import.meta.url), 'utf8'))
  await client.end()
  await pgfeed(database, 'install')
  await pgfeed(database, 'watch', ...TABLES)
}
