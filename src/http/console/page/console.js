/**
 * The console: puts its parts together. The state is asked for every second while the page is
 * looked at; changes come over the feed.
 */

import { drawCounts } from './counts.js'
import { byId, h, say } from './dom.js'
import { Feed } from './feed.js'
import { Reader } from './reader.js'
import { Tables, nameOf } from './tables.js'
import { Tail } from './tail.js'
import { Tiles } from './tiles.js'

/** @typedef {import('./feed.js').LinkState} LinkState */

const EVERY_MS = 1_000
const PATIENCE_MS = 5_000

/** @type {Record<LinkState, string>} */
const WORDS = {
  connecting: 'Connecting',
  live: 'Live',
  stale: 'Stale',
  waiting: 'Reconnecting',
  refused: 'Refused',
}

const tail = new Tail()
const tiles = new Tiles()
const choice = /** @type {HTMLSelectElement} */ (byId('tail-table'))
const filter = /** @type {HTMLInputElement} */ (byId('tail-filter'))
const apply = /** @type {HTMLButtonElement} */ (byId('tail-apply'))

/** @type {string[]} */ let readable = []
/** What the filter box said when it was applied. */
let applied = ''

const feed = new Feed({
  onLink: (state, why) => {
    byId('link').dataset['state'] = state
    say(byId('link-text'), WORDS[state])
    say(byId('link-why'), why)
    if (state === 'refused') reader.refused(why)
  },
  onChange: (change) => tail.change(change),
  onNote: (text) => tail.note(text),
  onError: (wish, code, message) => {
    filter.setAttribute('aria-invalid', String(code === 'bad_filter'))
    say(byId('tail-error'), wish ? `${wish.table}: ${message} (${code})` : `${message} (${code})`)
  },
})

const reader = new Reader((token) => {
  // What one reader saw is not shown as another's.
  tail.clear()
  say(byId('tail-error'), '')
  feed.open(token)
  void look()
})

const tables = new Tables((table) => {
  choice.value = table
  choose()
  byId('tail-title').focus()
  byId('tail-card').scrollIntoView({ block: 'start' })
})

/** Follows what is chosen, from now on. */
function follow() {
  const chosen = choice.value
  const wishes = chosen === '' ? readable : [chosen]
  feed.follow(wishes.map((table) => ({ table, filter: chosen === '' ? '' : applied })))
}

function choose() {
  const hasTable = choice.value !== ''
  filter.disabled = apply.disabled = !hasTable
  filter.placeholder = hasTable ? 'status=eq.PUBLISHED&price=lt.100' : 'Choose a table first'
  filter.value = applied = ''
  filter.removeAttribute('aria-invalid')
  say(byId('tail-error'), '')
  tail.clear()
  follow()
}

choice.addEventListener('change', choose)
byId('tail-form').addEventListener('submit', (event) => {
  event.preventDefault()
  if (choice.value === '') return
  applied = filter.value.trim()
  filter.removeAttribute('aria-invalid')
  say(byId('tail-error'), '')
  tail.clear()
  follow()
})

/** @param {readonly string[]} names */
function offer(names) {
  if (JSON.stringify(names) === JSON.stringify(readable)) return
  readable = [...names]
  const chosen = choice.value
  const all = choice.options[0]
  // A table that is chosen stays so while it is away: it may come back.
  const more = chosen === '' || names.includes(chosen) ? names : [...names, chosen]
  choice.replaceChildren(...(all ? [all] : []), ...more.map((name) => h('option', {}, name)))
  choice.value = chosen
  follow()
}

/** @param {string} text */
function alarm(text) {
  const alarm = byId('alarm')
  say(alarm, text)
  alarm.hidden = text === ''
}

/**
 * Asks the gateway how it is; null where it does not take the token.
 * @param {string | null} token
 */
async function ask(token) {
  const headers = token === null ? {} : { Authorization: `Bearer ${token}` }
  const address = new URL('../console/state', location.href)
  const signal = AbortSignal.timeout(PATIENCE_MS)
  const answer = await fetch(address, { headers, cache: 'no-store', signal })
  if (answer.status === 401 && token !== null) return null
  if (!answer.ok) throw new Error(`it answered ${answer.status}`)
  return answer.json()
}

let isAsking = false
let isFirst = true

async function look(isStep = false) {
  if (isAsking || document.hidden) return
  isAsking = true
  try {
    const { token } = reader
    let state = await ask(token)
    if (token !== reader.token) return
    if (state !== null) {
      reader.accepted(state.reader)
    } else {
      reader.refused('it is not accepted')
      state = { ...(await ask(null)), scope: 'reader', tables: [] }
    }
    say(byId('server'), state.server.replace('pgfeed/', 'v'))
    alarm(state.ready ? '' : `Not ready: ${state.reason}.`)
    tables.draw(state.tables, state.scope, isStep || isFirst)
    tiles.draw(state.metrics, state.lag_ms)
    drawCounts(state.metrics)
    isFirst = false
    offer(state.tables.filter((/** @type {any} */ it) => it.reads !== 'none').map(nameOf))
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    alarm(`The gateway cannot be asked how it is (${why}). What stands here is from before.`)
  } finally {
    isAsking = false
  }
}

feed.open(null)
void look()
setInterval(() => void look(true), EVERY_MS)
document.addEventListener('visibilitychange', () => void look())
