// Strings and numbers, each taken whole, so that digits inside a string are left alone.
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g
const MAYBE_UNSAFE = /\d{16}/

/**
 * JSON.parse, but an integer that a double cannot hold becomes a string of its digits: two bigint
 * keys that round to one number would otherwise be taken for one row.
 */
export function parseJson(text: string): unknown {
  return JSON.parse(MAYBE_UNSAFE.test(text) ? text.replace(TOKEN, quoteUnsafe) : text)
}

function quoteUnsafe(token: string): string {
  return isLongInteger(token) && !Number.isSafeInteger(Number(token)) ? `"${token}"` : token
}

/** Whether text is an integer that a double may not hold. */
export function isLongInteger(text: string): boolean {
  return /^-?\d{16,}$/.test(text)
}
