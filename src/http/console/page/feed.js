/**
 * The gateway's own WebSocket, as any client of it: heartbeats tell whether it is live, and after
 * a cut every subscription goes on from its cursor.
 */

import { parse } from './format.js'

/**
 * @typedef {{ table: string, filter: string }} Wish
 * @typedef {{ id: string, wish: Wish, cursor: string | null, shape: string | null, live: boolean,
 *   failed: boolean }} Sub
 * @typedef {'connecting' | 'live' | 'stale' | 'waiting' | 'refused'} LinkState
 * @typedef {object} Listener
 * @property {(state: LinkState, why: string) => void} onLink
 * @property {(change: any) => void} onChange
 * @property {(text: string) => void} onNote What happened to a subscription, for a person.
 * @property {(wish: Wish | null, code: string, message: string) => void} onError
 */

/** A lag under a second is told as 0; over this the data is called stale. */
const STALE_MS = 3_000
/** A connection that was taken and not greeted is given up. */
const GREETING_MS = 5_000
const BACKOFF_MS = 500
const BACKOFF_MAX_MS = 30_000
/** The gateway takes 20 messages a second by default. */
const PACE_MS = 70
const AT_ONCE = 10
/** Changes come at least once over reconnects: so many are remembered. */
const SEEN_MAX = 5_000

/** What a close means to who looks on; every other close is waited out. */
const REFUSALS = new Map([
  [1009, 'a message was too large'],
  [4400, 'too many bad messages'],
  [4401, 'the token is missing, bad or expired'],
  [4403, 'the token does not open this feed'],
])

export class Feed {
  /** @type {WebSocket | null} */ #socket = null
  /** @type {Map<string, Sub>} */ #subs = new Map()
  /** @type {string | null} */ #token = null
  /** @type {LinkState} */ #state = 'connecting'
  /** @type {string[]} */ #outbox = []
  /** @type {Set<string>} */ #seen = new Set()
  /** Whether `hello` was heard: subscriptions are made then, all at once. */
  #isGreeted = false
  #sent = 0
  #tries = 0
  #nextId = 1
  #heardAt = 0
  #heartbeatMs = 15_000
  #lagMs = 0
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #timer
  /** @type {ReturnType<typeof setTimeout> | undefined} */ #pacer

  /** @param {Listener} listener */
  constructor(listener) {
    this.listener = listener
    const hurry = () => {
      if (this.#state === 'waiting' && !this.#socket && !document.hidden) this.#connect()
    }
    addEventListener('online', hurry)
    document.addEventListener('visibilitychange', hurry)
    setInterval(() => this.#watch(), 500)
  }

  /**
   * Starts over as whoever this token names, or as nobody. The token is kept nowhere else.
   * @param {string | null} token
   */
  open(token) {
    this.#token = token
    this.#tries = 0
    this.#seen.clear()
    for (const sub of this.#subs.values()) Object.assign(sub, { cursor: null, failed: false })
    this.#connect()
  }

  /**
   * Follows these and nothing else; what is followed already goes on.
   * @param {readonly Wish[]} wishes
   */
  follow(wishes) {
    const key = (/** @type {Wish} */ wish) => JSON.stringify([wish.table, wish.filter])
    const wanted = new Map(wishes.map((wish) => [key(wish), wish]))
    for (const [id, sub] of this.#subs) {
      if (wanted.delete(key(sub.wish))) continue
      this.#subs.delete(id)
      if (!sub.failed) this.#send({ type: 'unsubscribe', id })
    }
    for (const wish of wanted.values()) {
      const id = `console-${this.#nextId++}`
      const sub = { id, wish, cursor: null, shape: null, live: false, failed: false }
      this.#subs.set(id, sub)
      this.#subscribe(sub)
    }
  }

  #connect() {
    clearTimeout(this.#timer)
    this.#drop()
    const url = new URL('../ws/changes/', location.href)
    url.protocol = url.protocol.replace('http', 'ws')
    url.search = ''
    url.hash = ''
    const protocols = ['pgfeed.v1', ...(this.#token === null ? [] : [`bearer.${this.#token}`])]
    if (this.#tries === 0) this.#tell('connecting', '')
    let socket
    try {
      socket = new WebSocket(url, protocols)
    } catch {
      this.#tell('refused', 'this is no token that could be sent')
      return
    }
    this.#socket = socket
    this.#heardAt = Date.now()
    socket.onmessage = (event) => this.#hear(String(event.data))
    socket.onclose = (event) => {
      this.#drop()
      this.#closed(event.code, event.reason)
    }
  }

  /** Lets go of a socket without hearing of its end. */
  #drop() {
    const socket = this.#socket
    this.#socket = null
    this.#outbox = []
    this.#isGreeted = false
    clearTimeout(this.#pacer)
    this.#pacer = undefined
    if (!socket) return
    socket.onmessage = socket.onclose = null
    socket.close(1000)
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #closed(code, reason) {
    for (const sub of this.#subs.values()) sub.live = false
    const refusal = REFUSALS.get(code)
    if (refusal) {
      this.#tell('refused', `closed with ${code}: ${reason || refusal}`)
      return
    }
    const asked = /^retry_ms=(\d+)$/.exec(reason)?.[1]
    const most = Math.min(BACKOFF_MAX_MS, BACKOFF_MS * 2 ** this.#tries)
    const delay = asked === undefined ? Math.random() * most : Number(asked)
    this.#tries += 1
    const why = code === 1006 ? 'no connection' : `closed with ${code} ${reason}`.trim()
    this.#tell('waiting', `${why}; trying again in ${Math.ceil(delay / 1000)} s`)
    this.#timer = setTimeout(() => this.#connect(), delay)
  }

  /** @param {Sub} sub */
  #subscribe(sub) {
    if (!this.#isGreeted || sub.failed) return
    const { table, filter } = sub.wish
    this.#send({
      type: 'subscribe',
      id: sub.id,
      table,
      ...(filter === '' ? {} : { filter }),
      ...(sub.cursor === null ? {} : { since: sub.cursor, shape: sub.shape }),
    })
  }

  /** @param {object} message */
  #send(message) {
    if (!this.#isGreeted) return
    this.#outbox.push(JSON.stringify(message))
    if (this.#pacer === undefined) this.#flush()
  }

  #flush() {
    this.#pacer = undefined
    while (this.#outbox.length > 0 && this.#socket?.readyState === WebSocket.OPEN) {
      this.#socket.send(/** @type {string} */ (this.#outbox.shift()))
      this.#sent += 1
      if (this.#sent < AT_ONCE) continue
      this.#pacer = setTimeout(() => this.#flush(), PACE_MS)
      return
    }
  }

  /** @param {string} text */
  #hear(text) {
    this.#heardAt = Date.now()
    const message = parse(text)
    const sub = this.#subs.get(message.id)
    switch (message.type) {
      case 'hello':
        this.#heartbeatMs = message.heartbeat_ms
        this.#isGreeted = true
        this.#sent = 0
        this.#tries = 0
        this.#lagMs = 0
        this.#tell('live', '')
        for (const each of this.#subs.values()) this.#subscribe(each)
        break
      case 'change':
        this.#change(message)
        break
      case 'subscribed':
        if (sub) {
          const { cursor, shape, live } = message
          Object.assign(sub, { cursor, shape, live })
        }
        break
      case 'live':
        if (sub) Object.assign(sub, { live: true, cursor: message.cursor })
        break
      case 'cursor':
        this.#keep(message.cursor, sub)
        break
      case 'heartbeat':
        this.#lagMs = message.lag_ms
        this.#keep(message.cursor, undefined)
        break
      case 'resync':
        if (!sub) break
        Object.assign(sub, { live: true, cursor: message.cursor })
        this.listener.onNote(`${sub.wish.table}: ${message.reason}, changes may have been missed`)
        break
      case 'unsubscribed':
        if (!sub) break
        this.#subs.delete(sub.id)
        this.listener.onNote(`${sub.wish.table}: no longer followed, ${message.reason}`)
        break
      case 'error':
        this.#fail(sub, message.code, message.message)
    }
  }

  /** @param {any} change */
  #change(change) {
    // A change that only a NOTIFY told has no id, and cannot come twice.
    if (typeof change.id === 'string') {
      // An UPDATE of the key is two changes under one id.
      const identity = change.id + change.effect
      if (this.#seen.has(identity)) return
      this.#seen.add(identity)
      if (this.#seen.size > SEEN_MAX) {
        for (const oldest of this.#seen) {
          this.#seen.delete(oldest)
          break
        }
      }
    }
    this.listener.onChange(change)
  }

  /**
   * @param {string | undefined} cursor
   * @param {Sub | undefined} only
   */
  #keep(cursor, only) {
    if (cursor === undefined) return
    if (only) only.cursor = cursor
    else for (const sub of this.#subs.values()) if (sub.live) sub.cursor = cursor
  }

  /**
   * @param {Sub | undefined} sub
   * @param {string} code
   * @param {string} message
   */
  #fail(sub, code, message) {
    if (code === 'not_found') return
    if (sub && code === 'unavailable') {
      setTimeout(() => this.#subs.has(sub.id) && this.#subscribe(sub), 2_000)
    } else if (sub) {
      sub.failed = true
    }
    this.listener.onError(sub?.wish ?? null, code, message)
  }

  /** Looks whether what was heard last is too long ago to be believed. */
  #watch() {
    if (!this.#socket) return
    const silentMs = Date.now() - this.#heardAt
    const patienceMs = this.#isGreeted ? 3 * this.#heartbeatMs : GREETING_MS
    if (silentMs > patienceMs) {
      this.#drop()
      this.#closed(1006, '')
    } else if (!this.#isGreeted) {
      return
    } else if (silentMs > 1.5 * this.#heartbeatMs) {
      this.#tell('stale', `nothing heard for ${Math.round(silentMs / 1000)} s`)
    } else if (this.#lagMs > STALE_MS) {
      const lag = Math.round(this.#lagMs / 1000)
      this.#tell('stale', `the gateway has not read the log for ${lag} s`)
    } else {
      this.#tell('live', '')
    }
  }

  /**
   * @param {LinkState} state
   * @param {string} why
   */
  #tell(state, why) {
    this.#state = state
    this.listener.onLink(state, why)
  }
}
