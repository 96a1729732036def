/** Who looks: nobody, or whom a token names. The token stays in this module's memory. */

import { byId, h } from './dom.js'
import { span } from './format.js'

/** @typedef {{ sub: unknown, roles: string[], expires_at: number }} Told */

export class Reader {
  /** @type {string | null} */ #token = null
  /** Why the gateway does not take it. */
  #refusal = ''
  /** @type {Told | null} */ #told = null
  #drawn = ''

  /** @param {(token: string | null) => void} onChange */
  constructor(onChange) {
    const input = /** @type {HTMLInputElement} */ (byId('token'))
    const take = (/** @type {string | null} */ token) => {
      input.value = ''
      this.#token = token
      this.#refusal = ''
      this.#told = null
      byId('token-forget').hidden = token === null
      this.draw()
      onChange(token)
    }
    byId('token-form').addEventListener('submit', (event) => {
      event.preventDefault()
      const text = input.value.trim().replace(/^Bearer\s+/i, '')
      if (text !== '') take(text)
    })
    byId('token-forget').addEventListener('click', () => {
      take(null)
      input.focus()
    })
    setInterval(() => this.draw(), 1_000)
    this.draw()
  }

  get token() {
    return this.#token
  }

  /** @param {Told | null} told */
  accepted(told) {
    this.#told = told
    this.#refusal = ''
    this.draw()
  }

  /** @param {string} why */
  refused(why) {
    this.#told = null
    this.#refusal = why
    this.draw()
  }

  draw() {
    const lines = this.#lines()
    const text = JSON.stringify(lines)
    if (text === this.#drawn) return
    this.#drawn = text
    byId('reader').replaceChildren(
      ...lines.map(([name = '', it = '', look = '']) =>
        h('div', look === '' ? {} : { class: look }, h('dt', {}, name), h('dd', {}, it)),
      ),
    )
  }

  /** @returns {string[][]} */
  #lines() {
    if (this.#token === null) return [['Reader', 'Anyone: no token']]
    const claims = claimsOf(this.#token)
    const end = this.#told?.expires_at ?? claims?.['exp']
    const lines = [this.#verdict(claims)]
    const subject = this.#told?.sub ?? claims?.['sub']
    if (subject !== undefined && subject !== null) lines.push(['Subject', textOf(subject)])
    if (this.#told) lines.push(['Roles', this.#told.roles.join(', ') || 'none'])
    if (typeof end === 'number') lines.push(['Expires', expiry(end)])
    const known = ['sub', 'exp', 'iat', 'nbf']
    const more = Object.entries(claims ?? {}).filter(([name]) => !known.includes(name))
    for (const [name, it] of more) lines.push([`Claim ${name}`, textOf(it)])
    return lines
  }

  /**
   * @param {Record<string, unknown> | null} claims
   * @returns {string[]}
   */
  #verdict(claims) {
    if (this.#told) return ['Token', 'accepted by the gateway', 'good']
    if (this.#refusal === '') return ['Token', 'being looked at']
    const end = claims?.['exp']
    const hint =
      claims === null
        ? '. It is no JWT that can be read.'
        : typeof end !== 'number'
          ? '. It has no numeric exp.'
          : end * 1000 <= Date.now()
            ? '. By this browser’s clock it has ended.'
            : '. It may be signed with another key, or be for another issuer or audience.'
    return ['Token', `refused: ${this.#refusal}${hint}`, 'bad']
  }
}

/** @param {unknown} it */
function textOf(it) {
  return typeof it === 'string' ? it : JSON.stringify(it)
}

/** @param {number} end */
function expiry(end) {
  const left = end - Date.now() / 1000
  return left > 0 ? `in ${span(left)}` : `${span(-left)} ago`
}

/**
 * What a token says of itself; whether that is true, only the gateway knows.
 * @param {string} token
 * @returns {Record<string, unknown> | null}
 */
function claimsOf(token) {
  try {
    const middle = (token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/')
    const raw = Uint8Array.from(atob(middle), (sign) => sign.charCodeAt(0))
    const claims = JSON.parse(new TextDecoder().decode(raw))
    return claims !== null && typeof claims === 'object' && !Array.isArray(claims) ? claims : null
  } catch {
    return null
  }
}
