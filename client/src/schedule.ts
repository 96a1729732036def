const waiting = new Set<() => void>()
let timer: ReturnType<typeof setTimeout> | undefined
let frame: number | undefined

/**
 * Runs `work` once before the next frame, with everything else asked for meanwhile, so that sets
 * changed by one transaction reach the page together. A hidden tab paints no frames: there, and
 * outside browsers, a timer stands in.
 */
export function nextFrame(work: () => void): void {
  waiting.add(work)
  if (timer !== undefined) return
  const hasFrames = typeof requestAnimationFrame === 'function'
  timer = setTimeout(run, hasFrames ? 100 : 0)
  if (hasFrames) frame = requestAnimationFrame(run)
}

function run(): void {
  clearTimeout(timer)
  // A tab hidden for hours would keep one for each round, and run them all when it is shown.
  if (frame) cancelAnimationFrame(frame)
  timer = frame = undefined
  const batch = [...waiting]
  waiting.clear()
  for (const work of batch) work()
}
