/** The watched tables, with what whoever looks may see of them, and how much happens in them. */

import { byId, h, say, spark } from './dom.js'
import { bytes, count, span } from './format.js'

/**
 * @typedef {object} Told
 * @property {string} schema
 * @property {string} table
 * @property {string[]} key
 * @property {{ name: string, type: string, readable: boolean }[]} columns
 * @property {'all' | 'some' | 'none'} reads
 * @property {number} [changes]
 * @property {number | null} [last_at]
 * @property {number | null} [rows]
 * @property {number | null} [bytes]
 */

/** @typedef {Record<'rows' | 'bytes' | 'changes' | 'minute' | 'last', HTMLElement>} Cells */
/** @typedef {{ row: HTMLElement, cells: Cells, minute: number[], last: number | undefined,
 *   spark: SVGSVGElement | null, shape: string }} Drawn */

const HIDDEN = 'Told only where nothing of the table is hidden from who looks.'

/**
 * As a client names it.
 * @param {Told} told
 */
export function nameOf({ schema, table }) {
  return schema === 'public' && !table.includes('.') ? table : `${schema}.${table}`
}

export class Tables {
  #body = byId('tables')
  /** @type {Map<string, Drawn>} */ #drawn = new Map()

  /** @param {(table: string) => void} onFollow */
  constructor(onFollow) {
    this.onFollow = onFollow
  }

  /**
   * @param {readonly Told[]} tables
   * @param {'all' | 'reader'} scope
   * @param {boolean} isStep Whether a step of the bars has gone by.
   */
  draw(tables, scope, isStep) {
    const names = new Set(tables.map(nameOf))
    for (const [name, { row }] of this.#drawn) {
      if (names.has(name)) continue
      row.remove()
      this.#drawn.delete(name)
    }
    for (const told of tables) {
      const name = nameOf(told)
      const shape = JSON.stringify([told.key, told.columns, told.reads])
      let drawn = this.#drawn.get(name)
      if (!drawn || drawn.shape !== shape) {
        const before = drawn
        drawn = { ...this.#row(name, told), shape }
        if (before) {
          Object.assign(drawn, { minute: before.minute, last: before.last })
          before.row.remove()
        }
        this.#drawn.set(name, drawn)
        this.#place(drawn, name, tables)
      }
      this.#fill(drawn, told, isStep)
    }
    const what = scope === 'all' ? 'on the feed' : 'visible to this reader'
    say(byId('tables-note'), `${tables.length} ${what}`)
    this.#empty(tables.length, scope)
  }

  /**
   * @param {number} count
   * @param {'all' | 'reader'} scope
   */
  #empty(count, scope) {
    const before = this.#body.querySelector('.none')
    if (count > 0) before?.remove()
    if (count > 0 || before) return
    const text =
      scope === 'all'
        ? 'No table is on the feed. `pgfeed watch TABLE` puts one there.'
        : 'Nothing that may be read without a token, or with this one. Look with another below.'
    this.#body.append(h('tr', { class: 'none' }, h('td', { colspan: '8' }, text)))
  }

  /**
   * Rows stand in the order in which they are told.
   * @param {Drawn} drawn
   * @param {string} name
   * @param {readonly Told[]} tables
   */
  #place(drawn, name, tables) {
    const at = tables.findIndex((it) => nameOf(it) === name)
    const next = tables.slice(at + 1).map((it) => this.#drawn.get(nameOf(it))?.row)
    this.#body.insertBefore(drawn.row, next.find((it) => it?.isConnected) ?? null)
  }

  /**
   * @param {string} name
   * @param {Told} told
   * @returns {Omit<Drawn, 'shape'>}
   */
  #row(name, told) {
    const cells = {
      rows: h('td', { class: 'number', 'data-label': 'Rows' }),
      bytes: h('td', { class: 'number', 'data-label': 'Size' }),
      changes: h('td', { class: 'number', 'data-label': 'Changes' }),
      minute: h('td', { class: 'minute' }),
      last: h('td', { class: 'number', 'data-label': 'Newest' }),
    }
    const readable = told.columns.filter((it) => it.readable).length
    const columns = h(
      'ul',
      { class: 'columns' },
      ...told.columns.map((it) =>
        h(
          'li',
          it.readable ? {} : { class: 'off' },
          h('b', {}, it.name),
          ` ${it.type}`,
          told.key.includes(it.name) ? ' · key' : null,
          it.readable ? null : ' · hidden',
        ),
      ),
    )
    const all = readable === told.columns.length
    const of = all ? `${readable} columns` : `${readable} of ${told.columns.length} columns`
    const reads = { all: 'all rows', some: 'some rows', none: 'nothing' }[told.reads]
    const follow = h('button', { type: 'button', class: 'plain' }, 'Follow')
    follow.setAttribute('aria-label', `Follow ${name}`)
    follow.disabled = told.reads === 'none'
    follow.addEventListener('click', () => this.onFollow(name))
    const seen =
      told.reads === 'none'
        ? h('span', { class: 'off' }, 'nothing')
        : h('details', {}, h('summary', {}, `${reads}, ${of}`), columns)
    const row = h(
      'tr',
      {},
      h('th', { scope: 'row' }, name),
      h('td', { class: `reads ${told.reads}` }, seen),
      ...Object.values(cells),
      h('td', { class: 'follow' }, follow),
    )
    return { row, cells, minute: [], last: undefined, spark: null }
  }

  /**
   * @param {Drawn} drawn
   * @param {Told} told
   * @param {boolean} isStep
   */
  #fill(drawn, told, isStep) {
    const { cells } = drawn
    const { changes } = told
    for (const cell of Object.values(cells)) cell.title = changes === undefined ? HIDDEN : ''
    say(cells.rows, told.rows == null ? '–' : `≈ ${count(told.rows)}`)
    say(cells.bytes, told.bytes == null ? '–' : bytes(told.bytes))
    say(cells.changes, changes === undefined ? '–' : count(changes))
    const age = told.last_at == null ? null : Math.max(0, Date.now() - told.last_at) / 1000
    say(cells.last, age === null ? '–' : age < 1 ? 'now' : `${span(age)} ago`)
    if (changes === undefined || !isStep) return
    if (drawn.last !== undefined) drawn.minute.push(Math.max(0, changes - drawn.last))
    drawn.minute.splice(0, drawn.minute.length - 60)
    drawn.last = changes
    const bars = spark(drawn.spark, drawn.minute)
    if (bars !== drawn.spark) cells.minute.append(bars)
    drawn.spark = bars
  }
}
