/** The gateway's own numbers: those of /metrics, and what they did since the last look. */

import { byId, h, say, spark } from './dom.js'
import { bytes, count, latency, rate, span } from './format.js'

/** @typedef {Record<string, number>} Metrics */
/** @typedef {{ value: HTMLElement, more: HTMLElement, bars: HTMLElement | null,
 *   meter: HTMLMeterElement | null, spark: SVGSVGElement | null, minute: number[] }} Tile */

/** @typedef {{ bound: number, value: number }} Bucket */

const LOOKS_MAX = 60

const TILES = [
  ['changes', 'Changes', 'read from the log'],
  ['deliveries', 'Deliveries', 'changes handed to clients'],
  ['clients', 'Clients', ''],
  ['latency', 'Commit to socket', ''],
  ['lag', 'Lag', ''],
  ['log', 'Log', ''],
]

export class Tiles {
  /** @type {Map<string, Tile>} */ #tiles = new Map()
  /** @type {{ metrics: Metrics, at: number } | null} */ #before = null
  /** The histogram over the last minute of looks. @type {Bucket[][]} */ #looks = []

  constructor() {
    for (const [id = '', title = '', more = ''] of TILES) {
      const hasBars = id === 'changes' || id === 'deliveries'
      const tile = {
        value: h('dd', { class: 'value' }, '–'),
        more: h('dd', { class: 'muted' }, more),
        bars: hasBars ? h('dd', { class: 'bars' }) : null,
        meter: id === 'log' ? h('meter', { min: '0', max: '1', 'aria-label': 'Log in use' }) : null,
        spark: null,
        minute: [],
      }
      const meter = tile.meter && h('dd', {}, tile.meter)
      byId('tiles').append(
        h(
          'div',
          { class: `tile ${id}` },
          h('dt', {}, title),
          tile.value,
          tile.more,
          tile.bars,
          meter,
        ),
      )
      this.#tiles.set(id, tile)
    }
  }

  /**
   * @param {Metrics} now
   * @param {number | null} lagMs
   */
  draw(now, lagMs) {
    const at = performance.now()
    const of = (/** @type {string} */ name) => now[`pgfeed_${name}`] ?? 0
    this.#flow('changes', of('changes_total'), at, 'pgfeed_changes_total')
    this.#flow('deliveries', of('deliveries_total'), at, 'pgfeed_deliveries_total')
    const clients = of('connections')
    const subscriptions = of('subscriptions')
    const waiting = of('queue_bytes')
    const behind = waiting > 0 ? `, ${bytes(waiting)} wait for slow ones` : ''
    this.#say('clients', count(clients), `${count(subscriptions)} subscriptions${behind}`)
    this.#latency(now)
    this.#say('lag', ...lag(lagMs))
    this.#log(now)
    this.#before = { metrics: now, at }
  }

  /**
   * @param {string} id
   * @param {string} value
   * @param {string} more
   */
  #say(id, value, more) {
    const tile = this.#tiles.get(id)
    if (!tile) return
    say(tile.value, value)
    say(tile.more, more)
  }

  /**
   * A counter as a rate, with bars for the last minute.
   * @param {string} id
   * @param {number} total
   * @param {number} at
   * @param {string} name
   */
  #flow(id, total, at, name) {
    const tile = this.#tiles.get(id)
    if (!tile) return
    const before = this.#before
    // A counter that fell is another gateway's.
    const since = before ? Math.max(0, total - (before.metrics[name] ?? 0)) : 0
    const perSecond = before ? since / Math.max(0.2, (at - before.at) / 1000) : 0
    tile.minute.push(perSecond)
    tile.minute.splice(0, tile.minute.length - 60)
    this.#say(id, `${rate(perSecond)} /s`, `${count(total)} since the start`)
    const bars = spark(tile.spark, tile.minute)
    if (bars !== tile.spark) tile.bars?.append(bars)
    tile.spark = bars
  }

  /**
   * Within what half, and 99 of 100, came to their sockets in the last minute.
   * @param {Metrics} metrics
   */
  #latency(metrics) {
    const now = buckets(metrics)
    const first = this.#looks[0] ?? now.map(({ bound }) => ({ bound, value: 0 }))
    this.#looks.push(now)
    this.#looks.splice(0, this.#looks.length - LOOKS_MAX)
    const lately = now.map(({ bound, value }, at) => ({
      bound,
      value: value - (first[at]?.value ?? 0),
    }))
    const total = lately.at(-1)?.value ?? 0
    if (total <= 0) {
      this.#say('latency', '–', 'no delivery in the last minute')
      return
    }
    const within = (/** @type {number} */ part) => {
      const bound = lately.find(({ value }) => value >= part * total)?.bound ?? Infinity
      const largest = lately.at(-2)?.bound ?? 0
      return bound === Infinity ? `> ${latency(largest)}` : `≤ ${latency(bound)}`
    }
    this.#say('latency', within(0.5), `99 of 100 ${within(0.99)}, last minute`)
  }

  /** @param {Metrics} metrics */
  #log(metrics) {
    const size = metrics['pgfeed_log_bytes']
    const most = metrics['pgfeed_log_size_max_bytes'] ?? 0
    if (size === undefined) return
    const oldest = metrics['pgfeed_log_oldest_seconds'] ?? 0
    const reach = oldest > 0 ? `, back to ${span(oldest)} ago` : ''
    this.#say('log', bytes(size), `of ${bytes(most)}${reach}`)
    const meter = this.#tiles.get('log')?.meter
    if (meter) Object.assign(meter, { high: 0.9, value: most > 0 ? size / most : 0 })
  }
}

/**
 * Between two looks at a quiet log a second may go by: that is no lag.
 * @param {number | null} lagMs
 * @returns {[string, string]}
 */
function lag(lagMs) {
  if (lagMs === null) return ['–', 'the database was not reached yet']
  if (lagMs < 3_000) return ['none', 'everything committed is here']
  return [span(lagMs / 1000), 'the log is not being read']
}

/**
 * How many deliveries took at most so long, in all.
 * @param {Metrics} metrics
 * @returns {Bucket[]}
 */
function buckets(metrics) {
  const all = Object.entries(metrics).flatMap(([name, value]) => {
    const bound = /^pgfeed_delivery_seconds_bucket\{le="([^"]+)"\}$/.exec(name)?.[1]
    return bound === undefined ? [] : [{ bound: Number(bound.replace('+Inf', 'Infinity')), value }]
  })
  return all.sort((a, b) => a.bound - b.bound)
}
