import { randomBytes } from 'node:crypto'
import { createServer } from 'vite'
import { Cluster } from '../../../client/test/support/cluster.js'
import { Gateway } from './gateway.js'
import { prepare } from './prepare.js'

const PORT = Number(process.env['PORT'] ?? 5173)

/** A database (yours by DATABASE_URL, else a throwaway one), the gateway, the API and the pages. */
export async function start(): Promise<void> {
  const given = process.env['DATABASE_URL']
  const cluster = given ? null : await Cluster.start()
  const database = given ?? (await cluster?.createDatabase('academy')) ?? ''
  const secret = process.env['JWT_SECRET'] ?? randomBytes(32).toString('hex')
  await prepare(database)
  const gateway = await Gateway.start(database, secret)
  process.env['DATABASE_URL'] = database
  process.env['JWT_SECRET'] = secret
  process.env['GATEWAY_URL'] = gateway.url
  const server = await createServer({ server: { port: PORT } })
  await server.listen()
  greet(server.config.server.port, database, gateway)

  const stop = async (): Promise<void> => {
    await server.close()
    await gateway.end('SIGTERM')
    await cluster?.drop()
    process.exit()
  }
  process.once('SIGINT', () => void stop())
  process.once('SIGTERM', () => void stop())
}

function greet(port: number, database: string, gateway: Gateway): void {
  const page = `http://localhost:${String(port)}/`
  console.log(`
The academy is open. Put two windows side by side:

  an administrator   ${page}?as=edsger
  a student          ${page}?as=ada

  database           psql ${database}
  gateway            ${gateway.url}, process ${String(gateway.pid)}

Kill the gateway (kill -9 ${String(gateway.pid)}): it is started again, and no page misses a change.
Ctrl-C ends everything.`)
}
