import { randomBytes } from 'node:crypto'
import { createServer } from 'vite'
import { Cluster } from '../../../client/test/support/cluster.js'
import { Gateway } from './gateway.js'
import { prepare } from './prepare.js'

const PORT = Number(process.env['ACADEMY_PORT'] ?? 5173)
const PAGE = `http://localhost:${String(PORT)}`

/** A database (yours by DATABASE_URL, else a throwaway one), the gateway, the API and the pages. */
export async function start(): Promise<void> {
  const given = process.env['DATABASE_URL']
  const cluster = given ? null : await Cluster.start()
  const database = given ?? (await cluster?.createDatabase('academy')) ?? ''
  const secret = process.env['JWT_SECRET'] ?? randomBytes(32).toString('hex')
  await prepare(database)
  const gateway = await Gateway.start(database, secret, PAGE)
  process.env['DATABASE_URL'] = database
  process.env['JWT_SECRET'] = secret
  process.env['GATEWAY_URL'] = gateway.url
  const server = await createServer({
    server: { port: PORT, strictPort: true },
    // A killed gateway is part of the show, and no news of the proxy's.
    logLevel: 'silent',
  })
  await server.listen()
  greet(database, gateway)

  const stop = async (): Promise<void> => {
    await server.close()
    await gateway.end('SIGTERM')
    await cluster?.drop()
    process.exit()
  }
  process.once('SIGINT', () => void stop())
  process.once('SIGTERM', () => void stop())
}

function greet(database: string, gateway: Gateway): void {
  console.log(`
The academy is open. Put two windows side by side:

  an administrator   ${PAGE}/?as=edsger
  a student          ${PAGE}/?as=ada

  database           psql ${database}
  console            ${gateway.url}console/
  gateway            process ${String(gateway.pid)}

Kill the gateway (kill -9 ${String(gateway.pid)}): it is started again, and no page misses a change.
Ctrl-C ends everything.`)
}
