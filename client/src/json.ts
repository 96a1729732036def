// A string is not taken whole: a pattern that could go back over megabytes of it would not fit the
// engine's stack.
const TOKEN = /\\.|"|-?\d[\d.eE+-]*/g
const MAYBE_UNSAFE = /\d{16}/

/**
 * JSON.parse, but an integer that a double cannot hold becomes a string of its digits: two bigint
 * keys that round to one number would otherwise be taken for one row.
 */
export function parseJson(text: string): unknown {
  let isInString = false
  const quoteUnsafe = (token: string): string => {
    if (token === '"') isInString = !isInString
    const isUnsafe = !isInString && isLongInteger(token) && !Number.isSafeInteger(Number(token))
    return isUnsafe ? `"${token}"` : token
  }
  return JSON.parse(MAYBE_UNSAFE.test(text) ? text.replace(TOKEN, quoteUnsafe) : text)
}

/** Whether text is an integer that a double may not hold. */
export function isLongInteger(text: string): boolean {
  return /^-?\d{16,}$/.test(text)
}
