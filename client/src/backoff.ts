const BASE_MS = 500
const CAP_MS = 30_000

/**
 * Exponential with full jitter: anywhere between nothing and the bound, so that ten thousand
 * browsers that lost the same gateway do not come back together.
 */
export function backoffMs(attempt: number): number {
  return Math.random() * Math.min(CAP_MS, BASE_MS * 2 ** attempt)
}
