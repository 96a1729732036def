import { StrictMode, createElement } from 'react'
import type { ReactNode } from 'react'
import { createRoot } from 'react-dom/client'

const unmounts: (() => void)[] = []

/** Puts a page into the document, as strict as React can be. */
export function mount(page: ReactNode): HTMLElement {
  const place = document.body.appendChild(document.createElement('main'))
  const root = createRoot(place)
  root.render(createElement(StrictMode, null, page))
  unmounts.push(() => {
    root.unmount()
  })
  return place
}

export function unmountAll(): void {
  for (const unmount of unmounts.splice(0)) unmount()
}
