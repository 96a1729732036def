import { createHmac, timingSafeEqual } from 'node:crypto'

export interface Claims {
  readonly sub: string
  readonly role: string
  readonly exp: number
}

const LIFETIME_S = Number(process.env['ACADEMY_TOKEN_S'] ?? 15 * 60)

/** A JWT as the gateway takes it (HS256). */
export function sign(secret: string, sub: string, role: string, lifetimeS = LIFETIME_S): string {
  const nowS = Math.floor(Date.now() / 1000)
  const head = encode({ alg: 'HS256', typ: 'JWT' })
  const body = encode({ sub, role, iat: nowS, exp: nowS + lifetimeS })
  return `${head}.${body}.${seal(secret, `${head}.${body}`)}`
}

/** Whose token it is, if it is one of ours and has not ended. */
export function verify(secret: string, token: string): Claims | null {
  const [head, body, signature] = token.split('.')
  if (!head || !body || !signature) return null
  const right = Buffer.from(seal(secret, `${head}.${body}`))
  const given = Buffer.from(signature)
  if (right.length !== given.length || !timingSafeEqual(right, given)) return null
  const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as Claims
  return claims.exp * 1000 > Date.now() ? claims : null
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url')
}

function seal(secret: string, text: string): string {
  return createHmac('sha256', secret).update(text).digest('base64url')
}
