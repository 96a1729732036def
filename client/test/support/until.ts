const PATIENCE_MS = 20_000
const STEP_MS = 10

/** Waits until `check` is true; what it throws counts as not yet. */
export async function until(
  what: string,
  check: () => boolean | Promise<boolean>,
  patienceMs: number = PATIENCE_MS,
): Promise<void> {
  const deadline = Date.now() + patienceMs
  let last: unknown = 'it never became true'
  while (Date.now() < deadline) {
    try {
      if (await check()) return
    } catch (error) {
      last = error
    }
    await new Promise((resolve) => setTimeout(resolve, STEP_MS))
  }
  throw new Error(`waited in vain for ${what}: ${String(last)}`)
}
