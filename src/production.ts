import * as z from 'zod'
import { judgeHost } from './domain/address.ts'
import { isPhrase, whyWeak } from './domain/weak-secret.ts'

/** Found by their names, so that a variable that is new is looked at as well. */
const holdsSecret = /(TOKEN|KEY|KEY_PREVIOUS|SECRET|PASSWORD)$/
const holdsUrl = /(URL|ENDPOINT)$/
const bytesAlone = /^(CLAIM|MASTER)_KEY/
/** An id: it may be known to anybody. */
const notSecret = /KEY_ID$/
const demoKeyIds = /^(local|minioadmin|s3rver|test|AKIAIOSFODNN7EXAMPLE)/i
const owners = /^(postgres|neondb_owner|.*_owner|weir_(owner|system|engine))$/
const leastSecretCharacters = 16

const jwk = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string().length(43),
  d: z.string().length(43),
})

type Variables = Readonly<Record<string, string | undefined>>

/**
 * What keeps these variables from serving strangers: secrets that somebody could guess, one secret for two purposes, and
 * what belongs to a laptop. Each line names a variable and never says what is in it.
 */
export function productionProblems(variables: Variables): string[] {
  const problems: string[] = []
  const say = (name: string, words: string) => void problems.push(`${name}: ${words}`)
  const usedBy = new Map<string, string>()
  for (const [name, value] of Object.entries(variables)) {
    if (value === undefined || value === '') continue
    if (holdsUrl.test(name) && name !== 'DATABASE_URL')
      for (const words of urlProblems(value)) say(name, words)
    for (const secret of secretsIn(name, value)) {
      const words = weakness(name, secret)
      if (words !== undefined) say(name, words)
      const other = usedBy.get(secret)
      if (other !== undefined) say(name, `is the same secret as ${other}; each needs one of its own`)
      usedBy.set(secret, name)
    }
  }
  for (const name of ['TOKEN_KEY', 'TOKEN_KEY_PREVIOUS'])
    if (variables[name] && !parseJwk(variables[name])) say(name, 'must be an Ed25519 private key as a JWK')
  if (variables['ALLOW_PRIVATE_HOSTS'] === 'true')
    say('ALLOW_PRIVATE_HOSTS', 'is for ENVIRONMENT=local alone')
  if (variables['NEON_GATEWAY']) say('NEON_GATEWAY', 'is for ENVIRONMENT=local alone')
  if (demoKeyIds.test(variables['S3_ACCESS_KEY_ID'] ?? ''))
    say('S3_ACCESS_KEY_ID', "is the local stack's, or an example")
  if (/(^|,)http:/.test(variables['CORS_ORIGINS'] ?? '')) say('CORS_ORIGINS', 'must be https')
  for (const words of databaseProblems(variables['DATABASE_URL'] ?? '')) say('DATABASE_URL', words)
  for (const name of ['MAIL_URL', 'MAIL_TOKEN', 'MAIL_FROM'])
    if (!variables[name])
      say(name, 'is needed: people prove their addresses and get their accounts back by mail')
  return problems
}

function secretsIn(name: string, value: string): string[] {
  if (name === 'DATABASE_URL') return [URL.parse(value)?.password ?? ''].filter((text) => text !== '')
  if (!holdsSecret.test(name) || notSecret.test(name)) return []
  if (!value.startsWith('{')) return [value]
  const key = parseJwk(value)
  return key ? [key.d] : []
}

function weakness(name: string, secret: string): string | undefined {
  if (secret.length < leastSecretCharacters) return `must have at least ${leastSecretCharacters} characters`
  if (bytesAlone.test(name) && isPhrase(secret)) return 'is readable text in base64url, not random bytes'
  return whyWeak(secret)
}

function urlProblems(text: string): string[] {
  const url = URL.parse(text)
  if (!url) return []
  if (url.protocol !== 'https:') return ['must be https']
  return hostProblems(url.hostname)
}

function hostProblems(host: string): string[] {
  if (!judgeHost(host).ok) return ['is a private address']
  return /(^|\.)example(\.(com|net|org))?$|\.(test|invalid)$/.test(host) ? ['is an example'] : []
}

function databaseProblems(text: string): string[] {
  const url = URL.parse(text)
  if (!url) return []
  const problems = hostProblems(url.hostname)
  if (owners.test(decodeURIComponent(url.username)))
    problems.push('must be of the role weir_app, not of an owner')
  if (/^(disable|allow|prefer)$/.test(url.searchParams.get('sslmode') ?? ''))
    problems.push('must be encrypted')
  return problems
}

function parseJwk(text: string): z.output<typeof jwk> | undefined {
  try {
    return jwk.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}
