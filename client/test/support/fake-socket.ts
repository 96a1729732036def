import type { Row, SentChange, ServerMessage } from '../../src/wire.js'

/** A WebSocket whose other end is the test. */
export class FakeSocket {
  /** All that were opened; a test empties it before it begins. */
  static readonly opened: FakeSocket[] = []
  readonly protocols: readonly string[]
  readonly sent: Record<string, unknown>[] = []
  isClosed = false
  onopen: (() => void) | null = null
  onmessage: ((event: { readonly data: string }) => void) | null = null
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null = null

  constructor(_: URL, protocols: readonly string[]) {
    this.protocols = protocols
    FakeSocket.opened.push(this)
  }

  static get last(): FakeSocket {
    const socket = FakeSocket.opened.at(-1)
    if (!socket) throw new Error('no socket was opened')
    return socket
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text) as Record<string, unknown>)
  }

  close(): void {
    this.isClosed = true
  }

  greet(): void {
    this.onopen?.()
    this.tell({ type: 'hello', protocol: 1, server: '', heartbeat_ms: 15_000 })
  }

  tell(message: ServerMessage): void {
    this.say(JSON.stringify(message))
  }

  /** Says anything, also what is no message. */
  say(text: string): void {
    this.onmessage?.({ data: text })
  }

  /** Answers the last request for a table, which is live from there. */
  snapshot(table: string, rows: readonly Row[]): void {
    const id = this.idOf(table)
    this.tell({
      type: 'subscribed',
      id,
      topic: id,
      shape: 'S',
      schema: 'public',
      table,
      key: ['id'],
      columns: [],
      cursor: 'c',
      live: false,
    })
    this.tell({ type: 'snapshot', id, rows, more: false })
    this.tell({ type: 'live', id, cursor: 'c' })
    this.tell({ type: 'heartbeat', at: '', lag_ms: 0 })
  }

  end(code: number): void {
    this.onclose?.({ code, reason: '' })
  }

  /** The id under which a table was last asked for. */
  idOf(table: string): string {
    const asked = this.sent.filter((one) => one['type'] === 'subscribe' && one['table'] === table)
    return asked.at(-1)?.['id'] as string
  }
}

/** An INSERT of no particular row. */
export function changeOf(table: string, extra: Partial<SentChange>): SentChange {
  return {
    type: 'change',
    schema: 'public',
    table,
    operation: 'INSERT',
    effect: 'enter',
    key: {},
    ...extra,
  }
}
