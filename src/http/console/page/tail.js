/** The live tail: the newest changes, bounded, drawn once a frame. */

import { byId, h, say } from './dom.js'
import { Digits, clock, count, value } from './format.js'

const ROWS_MAX = 300
const TEXT_MAX = 80
const ANNOUNCE_EVERY_MS = 10_000

/** @typedef {{ [column: string]: unknown }} Row */

export class Tail {
  #list = byId('tail')
  /** What came and is not drawn. @type {HTMLElement[] | any[]} */
  #waiting = []
  #came = 0
  #announced = 0
  #isPaused = false
  #isDue = false

  constructor() {
    const pause = byId('tail-pause')
    pause.addEventListener('click', () => {
      this.#isPaused = !this.#isPaused
      // The label says what a click does, so it is no toggle that is pressed.
      pause.classList.toggle('paused', this.#isPaused)
      this.#plan()
    })
    byId('tail-clear').addEventListener('click', () => this.clear())
    setInterval(() => this.#announce(), ANNOUNCE_EVERY_MS)
  }

  /** @param {any} change */
  change(change) {
    this.#add(change)
    this.#came += 1
  }

  /**
   * Something that is no change, for a person.
   * @param {string} text
   */
  note(text) {
    this.#add(text)
  }

  clear() {
    this.#waiting = []
    this.#list.replaceChildren()
    this.#plan()
  }

  /** @param {any} item */
  #add(item) {
    this.#waiting.push(item)
    if (this.#waiting.length > ROWS_MAX) this.#waiting.splice(0, this.#waiting.length - ROWS_MAX)
    this.#plan()
  }

  #plan() {
    if (this.#isDue) return
    this.#isDue = true
    requestAnimationFrame(() => {
      this.#isDue = false
      this.#draw()
    })
  }

  #draw() {
    if (!this.#isPaused) {
      const items = this.#waiting
        .reverse()
        .map((it) => (typeof it === 'string' ? h('li', { class: 'note' }, it) : changeItem(it)))
      this.#waiting = []
      this.#list.prepend(...items)
      while (this.#list.childElementCount > ROWS_MAX) this.#list.lastElementChild?.remove()
    }
    const shown = this.#list.childElementCount
    byId('tail-empty').hidden = shown > 0
    const held = this.#waiting.length
    const kept = shown === ROWS_MAX ? `the newest ${shown}` : `${shown} shown`
    say(byId('tail-pause'), this.#isPaused ? `Go on${held > 0 ? ` (${held} new)` : ''}` : 'Pause')
    say(byId('tail-note'), shown === 0 ? '' : `${kept}, ${count(this.#came)} came`)
  }

  /** Tells screen readers now and then how much came: each change would be too much. */
  #announce() {
    const came = this.#came - this.#announced
    this.#announced = this.#came
    if (came > 0) say(byId('announce'), `${came} new changes`)
  }
}

/**
 * One change: a line that opens to all of its columns.
 * @param {any} change
 */
function changeItem(change) {
  const { schema, table, operation, effect } = change
  const name = schema === 'public' ? table : `${schema}.${table}`
  const badge = h('span', { class: `badge ${operation.toLowerCase()}` }, operation.toLowerCase())
  const plain = { INSERT: 'enter', UPDATE: 'update', DELETE: 'leave', TRUNCATE: 'clear' }
  const isPlain = /** @type {Record<string, string>} */ (plain)[operation] === effect
  const line = h(
    'summary',
    {},
    h('time', { datetime: change.at ?? '' }, change.at ? clock(change.at) : ''),
    badge,
    h('span', { class: 'name' }, name),
    h('span', { class: 'key' }, pairs(change.key)),
    h(
      'span',
      { class: 'what' },
      ...(isPlain ? [] : [h('span', { class: 'badge' }, effect)]),
      ...marks(change),
      ...gist(change),
    ),
  )
  const details = h('details', {}, line)
  details.addEventListener('toggle', () => {
    if (details.open && details.childElementCount === 1) details.append(whole(change))
  })
  return h('li', { class: 'change' }, details)
}

/** @param {any} change */
function marks(change) {
  const all = []
  if (change.durable === false) all.push(h('span', { class: 'badge' }, 'not durable'))
  if (change.oversize === true) all.push(h('span', { class: 'badge' }, 'too large to send'))
  return all
}

/**
 * What matters at a glance: for an update what became what, else the row.
 * @param {any} change
 * @returns {(string | HTMLElement)[]}
 */
function gist({ effect, data, old, key }) {
  if (effect === 'update' && old && data) {
    return Object.keys(old).map((name) =>
      h(
        'span',
        { class: 'diff' },
        h('b', {}, name),
        ' ',
        h('del', {}, shown(old[name])),
        h('span', { class: 'arrow', role: 'img', 'aria-label': 'became' }, ' → '),
        h('ins', {}, shown(data[name])),
      ),
    )
  }
  if (!data) return []
  const rest = Object.keys(data).filter((name) => !(name in (key ?? {})))
  return rest.map((name) => h('span', { class: 'field' }, h('b', {}, name), ' ', shown(data[name])))
}

/**
 * Every column of a change, each with its former value where it had another.
 * @param {any} change
 */
function whole(change) {
  /** @type {Row} */ const row = change.data ?? change.key ?? {}
  const cells = Object.entries(row).map(([name, now]) => {
    const hasOld = change.old && name in change.old
    const parts = hasOld
      ? [h('del', {}, value(change.old[name])), ' → ', h('ins', {}, value(now))]
      : [h('span', { class: kind(now) }, value(now))]
    return h('div', {}, h('dt', {}, name), h('dd', {}, ...parts))
  })
  const { id, xid } = change
  const about = [id && `change ${id}`, xid && `transaction ${xid}`, change.at].filter(Boolean)
  return h(
    'div',
    { class: 'whole' },
    h('dl', {}, ...cells),
    h('p', { class: 'muted' }, about.join(' · ')),
  )
}

/** @param {unknown} it */
function kind(it) {
  if (it === null || it === undefined) return 'null'
  if (typeof it === 'number' || it instanceof Digits) return 'digits'
  return typeof it
}

/** @param {unknown} it */
function shown(it) {
  const text = value(it)
  const cut = text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}…` : text
  return h('span', { class: kind(it) }, cut === '' ? '(empty)' : cut)
}

/** @param {Row | undefined} key */
function pairs(key) {
  const all = Object.entries(key ?? {}).map(([name, it]) => `${name} ${value(it)}`)
  return all.join(', ')
}
