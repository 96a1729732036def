export { createClient } from './client.js'
export type { Client, ClientOptions } from './client.js'
export type { ConnectionStatus } from './connection.js'
export type { OnEvent, OnTableError, Resync, TableEvent } from './events.js'
export type {
  EventOptions,
  Feed,
  LiveOptions,
  OpenFeed,
  OrderOptions,
  TableFeed,
  TableOptions,
} from './feed.js'
export type { Transport } from './link.js'
export type { SetState, SetStatus } from './live-set.js'
export type { ConnectionState } from './state.js'
export type { Readable } from './store.js'
export type { TableError } from './subscription.js'
export type { Register, RowOf, TableName } from './tables.js'
export type { GetToken } from './token-keeper.js'
export type { Change, Effect, ErrorCode, Operation, ResyncReason, Row } from './wire.js'
