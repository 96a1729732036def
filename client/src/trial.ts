import type { Link, LinkHandlers, LinkOptions, OpenLink } from './link.js'

const EVERY_MS = 60_000

/**
 * Tries the better transport now and then beside the lesser one in use, which stays until the
 * gateway has said hello over the other. The options are those of the moment: a token ends. Returns
 * how to stop.
 */
export function keepTrying(
  open: OpenLink,
  options: () => LinkOptions,
  handlers: LinkHandlers,
): () => void {
  let trial: Link | undefined
  const timer = setInterval(() => {
    trial?.close()
    trial = open(options(), {
      onMessage: () => {
        trial?.close()
        handlers.onBetter?.()
      },
      onEnd: () => undefined,
    })
  }, EVERY_MS)
  return () => {
    clearInterval(timer)
    trial?.close()
  }
}
