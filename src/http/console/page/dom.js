/**
 * Elements. Text goes in as text: nothing here, and nothing in the console, writes markup.
 */

/** @typedef {string | Node | null} Child */

/**
 * The element of the page with this id.
 * @template {HTMLElement} [E=HTMLElement]
 * @param {string} id
 * @returns {E}
 */
export function byId(id) {
  const found = document.getElementById(id)
  if (!found) throw new Error(`the page has no #${id}`)
  return /** @type {E} */ (found)
}

/**
 * A new element.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, string>} [attributes]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, attributes = {}, ...children) {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value)
  for (const child of children) if (child !== null) made.append(child)
  return made
}

/**
 * Sets an element's text, where it is another: screen readers are not told what they know.
 * @param {Element} element
 * @param {string} text
 */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text
}

const SVG = 'http://www.w3.org/2000/svg'
const BARS = 60

/**
 * Bars for the last minute, for the eye alone: the numbers stand beside them.
 * @param {SVGSVGElement | null} before What was drawn before, to be drawn anew.
 * @param {readonly number[]} values The newest last.
 */
export function spark(before, values) {
  const drawn = before ?? document.createElementNS(SVG, 'svg')
  if (!before) {
    drawn.setAttribute('class', 'spark')
    drawn.setAttribute('viewBox', `0 0 ${BARS} 20`)
    drawn.setAttribute('preserveAspectRatio', 'none')
    drawn.setAttribute('aria-hidden', 'true')
    drawn.append(document.createElementNS(SVG, 'path'))
  }
  const most = Math.max(1, ...values)
  const minute = [...Array(BARS).fill(0), ...values].slice(-BARS)
  const path = minute.map((value, at) => {
    const height = value > 0 ? Math.max(2, (20 * value) / most) : 0.5
    return `M${at} 20v-${height.toFixed(2)}h.7v${height.toFixed(2)}z`
  })
  drawn.firstElementChild?.setAttribute('d', path.join(''))
  return drawn
}
