import { createServer, request } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

/** What a network in between may do to a connection. */
export interface Manners {
  /** Lets no WebSocket through. */
  breaksUpgrades: boolean
  /** Holds an answer back until it has ended. */
  buffers: boolean
  /** After how many bytes to the client each WebSocket in turn is cut. */
  cuts: number[]
}

/** An HTTP proxy with bad manners, before a gateway. */
export class Proxy {
  readonly manners: Manners
  readonly #server: Server
  readonly #sockets: Set<Socket> = new Set<Socket>()

  private constructor(server: Server, manners: Manners) {
    this.#server = server
    this.manners = manners
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
  }

  static async before(port: number, manners: Partial<Manners>): Promise<Proxy> {
    const server = createServer()
    const proxy = new Proxy(server, { breaksUpgrades: false, buffers: false, cuts: [], ...manners })
    server.on('request', (incoming, outgoing) => {
      const { url, method, headers } = incoming
      const passed = request({ port, host: '127.0.0.1', path: url, method, headers }, (answer) => {
        outgoing.on('close', () => answer.destroy())
        if (!proxy.manners.buffers) outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
        const kept: Buffer[] = []
        answer.on('data', (part: Buffer) => {
          if (proxy.manners.buffers) kept.push(part)
          else outgoing.write(part)
        })
        answer.on('end', () => outgoing.end(Buffer.concat(kept)))
        answer.on('error', () => outgoing.destroy())
      })
      passed.on('error', () => outgoing.destroy())
      incoming.pipe(passed)
    })
    server.on('upgrade', (incoming, socket) => {
      if (proxy.manners.breaksUpgrades) {
        socket.destroy()
        return
      }
      const { url, headers } = incoming
      const passed = request({ port, host: '127.0.0.1', path: url, headers })
      passed.on('upgrade', (answer, upstream, head) => {
        const lines = [`HTTP/1.1 101 Switching Protocols`]
        for (let n = 0; n < answer.rawHeaders.length; n += 2) {
          lines.push(`${answer.rawHeaders[n] ?? ''}: ${answer.rawHeaders[n + 1] ?? ''}`)
        }
        socket.write(`${lines.join('\r\n')}\r\n\r\n`)
        let left = proxy.manners.cuts.shift() ?? Infinity
        const pass = (part: Buffer): void => {
          socket.write(part.subarray(0, left))
          left -= part.length
          if (left > 0) return
          socket.destroy()
          upstream.destroy()
        }
        pass(head)
        upstream.on('data', pass)
        upstream.on('close', () => socket.destroy())
        socket.on('close', () => upstream.destroy())
        socket.pipe(upstream)
        upstream.on('error', () => socket.destroy())
        socket.on('error', () => upstream.destroy())
      })
      // Refused, as by a gateway that has not reached its database yet.
      passed.on('response', () => socket.destroy())
      passed.on('error', () => socket.destroy())
      passed.end()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return proxy
  }

  get url(): string {
    return `http://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}/`
  }

  /** Cuts every connection there is. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  drop(): void {
    this.cut()
    this.#server.close()
  }
}
