import { isLongInteger } from './json.js'
import type { Row } from './wire.js'

export type Comparator = (a: Row, b: Row) => number

const COLLATOR: Intl.Collator = new Intl.Collator()

/** Compares by columns, each ascending, or descending with a `-` before its name. */
export function comparator(columns: readonly string[]): Comparator {
  const parts = columns.map((column) => {
    const name = column.replace(/^-/, '')
    return [name, name === column ? 1 : -1] as const
  })
  return (a, b) => {
    for (const [name, sign] of parts) {
      const order = compareValues(a[name], b[name])
      if (order !== 0) return sign * order
    }
    return 0
  }
}

/** NULL after every value, as in PostgreSQL; text by the reader's locale. */
export function compareValues(a: unknown, b: unknown): number {
  const missing = Number(a === null || a === undefined) - Number(b === null || b === undefined)
  if (missing !== 0) return missing
  const [left, right] = [comparable(a), comparable(b)]
  const isText = typeof left === 'string'
  // Text beside long digits has no order by value, so they are kept apart.
  if (isText !== (typeof right === 'string')) return isText ? 1 : -1
  return isText ? COLLATOR.compare(left, right as string) : left < right ? -1 : Number(left > right)
}

/** A bigint column gives numbers, and strings of digits where a number would round. */
function comparable(value: unknown): string | number | bigint | boolean {
  if (typeof value === 'object' && value) return JSON.stringify(value)
  return typeof value === 'string' && isLongInteger(value) ? BigInt(value) : (value as number)
}
