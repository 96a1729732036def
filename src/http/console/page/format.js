/** Numbers, sizes and times as an operator reads them. */

const WHOLE = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const SHORT = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })

/** @param {number} value */
export function count(value) {
  return value < 10_000 ? WHOLE.format(value) : SHORT.format(value)
}

/** @param {number} perSecond */
export function rate(perSecond) {
  if (perSecond === 0) return '0'
  return perSecond < 10 ? perSecond.toFixed(1) : count(perSecond)
}

/** @param {number} value */
export function bytes(value) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let at = 0
  while (value >= 1024 && at < units.length - 1) {
    value /= 1024
    at += 1
  }
  return `${value < 10 && at > 0 ? value.toFixed(1) : WHOLE.format(value)} ${units[at]}`
}

/**
 * A length of time in its two largest units.
 * @param {number} seconds
 */
export function span(seconds) {
  if (seconds < 60) return `${WHOLE.format(Math.max(0, Math.floor(seconds)))} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min`
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return `${hours} h ${minutes % 60} min`
  return `${Math.floor(hours / 24)} d ${hours % 24} h`
}

/** @param {number} seconds */
export function latency(seconds) {
  return seconds < 1 ? `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms` : span(seconds)
}

/**
 * A time of day with milliseconds, in this browser's zone.
 * @param {string} at RFC 3339
 */
export function clock(at) {
  const time = new Date(at)
  if (Number.isNaN(time.getTime())) return at
  const two = (/** @type {number} */ value) => String(value).padStart(2, '0')
  const ms = String(time.getMilliseconds()).padStart(3, '0')
  return `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${ms}`
}

/** A number that a double cannot hold, in its own digits. */
export class Digits {
  /** @param {string} text */
  constructor(text) {
    this.text = text
  }
}

/**
 * Reads JSON and keeps the digits of every number, where the browser tells them.
 * @param {string} text
 * @returns {any}
 */
export function parse(text) {
  const keep = (
    /** @type {string} */ _,
    /** @type {unknown} */ value,
    /** @type {{ source?: string } | undefined} */ { source } = {},
  ) =>
    typeof value === 'number' && source && String(value) !== source ? new Digits(source) : value
  return JSON.parse(text, /** @type {any} */ (keep))
}

/**
 * A value as JSON, its numbers with all digits; text as it is.
 * @param {unknown} value
 * @returns {string}
 */
export function value(value) {
  if (typeof value === 'string') return value
  return written(value)
}

/**
 * @param {unknown} value
 * @returns {string}
 */
function written(value) {
  if (value instanceof Digits) return value.text
  if (Array.isArray(value)) return `[${value.map(written).join(', ')}]`
  if (value !== null && typeof value === 'object') {
    const inner = Object.entries(value).map(
      ([name, it]) => `${JSON.stringify(name)}: ${written(it)}`,
    )
    return `{${inner.join(', ')}}`
  }
  return JSON.stringify(value) ?? ''
}
