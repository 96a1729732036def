import type { Row } from './wire.js'

/**
 * Where a project tells its tables once, so that rows have types everywhere:
 *
 *     declare module 'pgfeed' {
 *       interface Register { tables: { courses: Course; registrations: Registration } }
 *     }
 */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- It is there to be extended.
export interface Register {}

type Registered = Register extends { readonly tables: infer T } ? T : Record<string, Row>

export type TableName = keyof Registered

export type RowOf<N extends TableName> = Registered[N] extends object ? Registered[N] : Row

/** Any name, but only where a row type is given: `live<Course>('courses')`. */
export type AnyName<R> = [R] extends [never] ? never : string
