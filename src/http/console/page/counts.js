/** What an operator wants to be nothing, counted since the gateway started. */

import { byId, h } from './dom.js'
import { bytes, count } from './format.js'

/** @typedef {Record<string, number>} Metrics */

const PLAIN = [
  ['Tokens refused', 'pgfeed_auth_failures_total'],
  ['Slow clients', 'pgfeed_slow_clients_total'],
  ['Log read failures', 'pgfeed_log_failures_total'],
  ['Listener reconnects', 'pgfeed_listener_reconnects_total'],
  ['NOTIFY not understood', 'pgfeed_notify_ignored_total'],
  ['Connections not accepted', 'pgfeed_accept_failures_total'],
]

let drawn = ''

/** @param {Metrics} metrics */
export function drawCounts(metrics) {
  const lines = PLAIN.map(([title = '', name = '']) => ({ title, value: metrics[name] ?? 0 }))
  const resyncs = labelled(metrics, 'pgfeed_resyncs_total', 'reason')
  const closes = labelled(metrics, 'pgfeed_closes_total', 'code')
  const sum = (/** @type {{ value: number }[]} */ all) => all.reduce((sum, it) => sum + it.value, 0)
  lines.push({ title: 'Resyncs', value: sum(resyncs) })
  lines.push(...resyncs.map(({ label, value }) => ({ title: `Resyncs: ${label}`, value })))
  lines.push({ title: 'Closed by us', value: sum(closes) })
  lines.push(...closes.map(({ label, value }) => ({ title: `Closed with ${label}`, value })))
  const waiting = metrics['pgfeed_queue_bytes'] ?? 0
  const text = JSON.stringify([lines, waiting])
  if (text === drawn) return
  drawn = text
  byId('counts').replaceChildren(
    ...lines.map(({ title, value }) => line(title, count(value), value > 0)),
    line('Waits for slow clients', bytes(waiting), waiting > 0),
  )
}

/**
 * @param {string} title
 * @param {string} value
 * @param {boolean} isSome
 */
function line(title, value, isSome) {
  return h('div', isSome ? { class: 'some' } : {}, h('dt', {}, title), h('dd', {}, value))
}

/**
 * The counts of a counter with one label, those alone that are not 0.
 * @param {Metrics} metrics
 * @param {string} name
 * @param {string} label
 */
function labelled(metrics, name, label) {
  const start = `${name}{${label}="`
  return Object.entries(metrics)
    .filter(([key, value]) => key.startsWith(start) && value > 0)
    .map(([key, value]) => ({ label: key.slice(start.length, -2), value }))
}
