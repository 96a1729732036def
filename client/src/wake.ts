export interface WakeHandlers {
  /** The browser came online or went offline, or the tab came into view. */
  readonly wake: () => void
  /** The page goes away, perhaps into the back-forward cache, which takes no open socket. */
  readonly leave: () => void
}

/** Listens to the browser; does nothing elsewhere. */
export function onWake({ wake, leave }: WakeHandlers): () => void {
  if (typeof document === 'undefined') return () => undefined
  const hear = (event: Event): void => {
    if (event.type === 'pagehide') leave()
    else if (document.visibilityState === 'visible') wake()
  }
  // Those of the document rise to the window, so that one place hears all.
  const aborter = new AbortController()
  for (const name of ['online', 'offline', 'visibilitychange', 'pageshow', 'pagehide']) {
    addEventListener(name, hear, aborter)
  }
  return () => {
    aborter.abort()
  }
}
