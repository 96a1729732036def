// Made by `pgfeed types` from the tables on the feed. Do not edit: run it again.
//
// Values are what the client package makes of PostgreSQL's JSON. Times, uuid, bytea and the like
// are text. A `numeric` is rounded to a double. An integer beyond 2^53 comes as a string of its
// digits, NaN and Infinity as text, and the elements of an array may be null:
// `pgfeed types --exact` says so in the types as well.

/** Table public.Odd Ones. Primary key: second, first key. */
export interface OddOnes {
  /** integer */
  readonly 'first key': number
  /** smallint */
  readonly second: number
  /** mood */
  readonly mood: 'glad' | 'it\'s' | 'so "so"'
  /** mood[] */
  readonly moods: readonly ('glad' | 'it\'s' | 'so "so"')[] | null
  /** place */
  readonly place: Record<string, unknown> | null
  /** place[] */
  readonly places: readonly Record<string, unknown>[] | null
  /** email */
  readonly owner: string | null
  /** filled */
  readonly must: string
  /** bigint[] */
  readonly numbers: readonly number[] | null
  /** jsonb[] */
  readonly trees: readonly unknown[] | null
  /** uuid */
  readonly 'it\'s': string | null
  /** date */
  readonly 'snow ☃': string | null
}

/** What is taught. Ends *\/ nothing. Table public.courses. Primary key: id. */
export interface Courses {
  /** bigint; beyond 2^53 a string of its digits */
  readonly id: number
  /** text: As shown */
  readonly title: string
  /** numeric(10,2) */
  readonly price: number | null
  /** integer */
  readonly seats: number
  /** real */
  readonly rating: number | null
  /** boolean */
  readonly live: boolean
  /** timestamp with time zone */
  readonly at: string
  /** text[] */
  readonly tags: readonly string[]
  /** jsonb */
  readonly plan: unknown
  /** bytea */
  readonly cover: string | null
  /** interval */
  readonly length: string | null
  /** int4range */
  readonly span: string | null
}

/** Table sales.dotted.name. Primary key: id. */
export interface SalesDottedName {
  /** integer */
  readonly id: number
}

/** Table sales.orders. Without a primary key: it can be followed, not kept as a set. */
export interface SalesOrders {
  /** integer */
  readonly id: number | null
  /** character varying(80) */
  readonly note: string | null
}

/** The tables, by the names that clients use. */
export interface Tables {
  'Odd Ones': OddOnes
  courses: Courses
  'sales.dotted.name': SalesDottedName
  'sales.orders': SalesOrders
}

declare module 'pgfeed' {
  interface Register {
    tables: Tables
  }
}
