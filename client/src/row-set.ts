import { comparator } from './order.js'
import type { Comparator } from './order.js'
import type { Change, Row } from './wire.js'

/**
 * Rows by key, kept by `effect` alone, in order. A row that did not change keeps its identity, and
 * so does the array while nothing changed.
 */
export class RowSet {
  readonly #rows: Map<string, Row> = new Map<string, Row>()
  readonly #orderBy: readonly string[]
  #key: readonly string[] = []
  #compare: Comparator | undefined
  #sorted: readonly Row[] | null = null

  constructor(orderBy: readonly string[]) {
    this.#orderBy = orderBy
  }

  /** Puts a snapshot in the place of everything. */
  replace(rows: readonly Row[], key: readonly string[]): void {
    this.#key = key
    // The key ends every order, so that it does not depend on what happened to come first.
    this.#compare = comparator([...this.#orderBy, ...key])
    this.#rows.clear()
    for (const row of rows) this.#rows.set(this.#identity(row), row)
    this.#sorted = null
  }

  apply(changes: readonly Change[]): void {
    for (const change of changes) this.#applyOne(change)
    if (changes.length > 0) this.#sorted = null
  }

  rows(): readonly Row[] {
    this.#sorted ??= [...this.#rows.values()].sort(this.#compare)
    return this.#sorted
  }

  #applyOne(change: Change): void {
    if (change.effect === 'clear') {
      this.#rows.clear()
      return
    }
    const identity = this.#identity(change.key)
    if (change.effect === 'leave') this.#rows.delete(identity)
    // Without data the row was too large to send: what is known of it stays, under its key.
    else this.#rows.set(identity, change.data ?? { ...this.#rows.get(identity), ...change.key })
  }

  #identity(row: Row): string {
    return JSON.stringify(this.#key.map((column) => row[column]))
  }
}
