import { generateKeyPairSync, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { whyWeak } from '#src/domain/weak-secret.ts'
import { readEnv } from '#src/env.ts'

const random = () => randomBytes(32).toString('base64url')
const tokenKey = () => JSON.stringify(generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }))

/** What a real deployment would have; each test spoils one thing of it. */
const good = (): Record<string, string> => ({
  PUBLIC_URL: 'https://weir.acme.com',
  DATABASE_URL: `postgresql://weir_app:${random()}@ep-cool-1.eu.neon.tech/weir?sslmode=require`,
  UPSTASH_REDIS_REST_URL: 'https://eu1-fit-1.upstash.io',
  UPSTASH_REDIS_REST_TOKEN: random(),
  QSTASH_URL: 'https://qstash.upstash.io',
  // As Upstash makes them: readable, once it is decoded.
  QSTASH_TOKEN: Buffer.from(JSON.stringify({ UserID: crypto.randomUUID(), Password: random() })).toString(
    'base64',
  ),
  QSTASH_CURRENT_SIGNING_KEY: `sig_${random()}`,
  QSTASH_NEXT_SIGNING_KEY: `sig_${random()}`,
  S3_ENDPOINT: 'https://abc123.r2.cloudflarestorage.com',
  S3_BUCKET: 'weir',
  S3_ACCESS_KEY_ID: randomBytes(16).toString('hex'),
  S3_SECRET_ACCESS_KEY: randomBytes(32).toString('hex'),
  CLAIM_KEY: random(),
  MASTER_KEY: random(),
  TOKEN_KEY: tokenKey(),
  MAIL_URL: 'https://api.resend.com/emails',
  MAIL_TOKEN: random(),
  MAIL_FROM: 'Weir <weir@acme.com>',
})

function refusal(variables: Record<string, unknown>): string {
  try {
    readEnv(variables)
    return ''
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

const counting = Buffer.from(Array.from({ length: 32 }, (_, i) => i)).toString('base64url')
const phrase = Buffer.from('correct horse battery staple, and so on').toString('base64url')
const published =
  '{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPjHURo"}'

describe('in production', () => {
  it('starts with secrets of its own', () => {
    for (let i = 0; i < 200; i++) expect(refusal(good())).toBe('')
  })

  it.each<[name: string, value: string, words: string]>([
    ['MASTER_KEY', 'A'.repeat(43), 'repeats itself'],
    ['MASTER_KEY', 'abcd'.repeat(11), 'repeats itself'],
    ['MASTER_KEY', counting, 'is an example'],
    ['CLAIM_KEY', phrase, 'readable text'],
    ['CLAIM_KEY', 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ', 'counts up or down'],
    ['CLAIM_KEY', '10100111010001101001110100011110100111010011', 'too few different'],
    ['MASTER_KEY_PREVIOUS', 'A'.repeat(43), 'repeats itself'],
    ['TOKEN_KEY', published, 'is an example'],
    ['TOKEN_KEY', '{"kty":"oct","k":"AAAA"}', 'must be an Ed25519 private key'],
    ['QSTASH_CURRENT_SIGNING_KEY', 'sig_changeme_changeme', 'is an example'],
    ['QSTASH_TOKEN', 'your-secret-token-here', 'is an example'],
    ['UPSTASH_REDIS_REST_TOKEN', 'aaaaaaaaaaaaaaaaaaaa', 'repeats itself'],
    ['S3_SECRET_ACCESS_KEY', 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY', 'is an example'],
    ['S3_SECRET_ACCESS_KEY', 'minioadmin', 'at least 16'],
    ['S3_ACCESS_KEY_ID', 'minioadmin', "the local stack's"],
    ['S3_ACCESS_KEY_ID', 'local0123456789ab', "the local stack's"],
    ['DATABASE_URL', 'postgresql://weir_app:weir@db.acme.com/weir', 'at least 16'],
    ['DATABASE_URL', 'postgresql://neondb_owner:h7Gq2-Lm9xTz4RwBv@db.acme.com/weir', 'not of an owner'],
    ['DATABASE_URL', 'postgresql://weir_app:h7Gq2-Lm9xTz4RwBv@127.0.0.1/weir', 'is a private address'],
    [
      'DATABASE_URL',
      'postgresql://weir_app:h7Gq2-Lm9xTz4RwBv@db.acme.com/weir?sslmode=disable',
      'must be encrypted',
    ],
    ['PUBLIC_URL', 'http://weir.acme.com', 'must be https'],
    ['PUBLIC_URL', 'https://weir.example.com', 'is an example'],
    ['PUBLIC_URL', 'https://localhost', 'is a private address'],
    ['S3_ENDPOINT', 'http://abc.r2.cloudflarestorage.com', 'must be https'],
    ['UPSTASH_REDIS_REST_URL', 'https://10.0.0.7', 'is a private address'],
    ['QSTASH_URL', 'http://127.0.0.1:8080', 'must be https'],
    ['CORS_ORIGINS', 'https://a.acme.com,http://b.acme.com', 'must be https'],
    ['DELIVERY_CALLS', '0', 'whole number from 1 to 10000'],
    ['DELIVERY_CALLS', '10001', 'whole number from 1 to 10000'],
    ['ALLOW_PRIVATE_HOSTS', 'true', 'ENVIRONMENT=local alone'],
    ['NEON_GATEWAY', '127.0.0.1:5433', 'ENVIRONMENT=local alone'],
  ])('does not start with %s = %s', (name, value, words) => {
    const said = refusal({ ...good(), [name]: value })
    expect(said).toMatch(new RegExp(`^  ${name}: .*${words}`, 'm'))
    for (const part of [value, ...value.split(/[:/@,"]+/)].filter(
      (text) => text.length > 9 && text !== 'minioadmin',
    ))
      expect(said.replaceAll(name, '')).not.toContain(part)
  })

  it.each([
    ['MASTER_KEY', 'CLAIM_KEY'],
    ['QSTASH_CURRENT_SIGNING_KEY', 'QSTASH_NEXT_SIGNING_KEY'],
    ['UPSTASH_REDIS_REST_TOKEN', 'S3_SECRET_ACCESS_KEY'],
  ])('does not start with one secret as %s and %s', (one, other) => {
    const variables = good()
    variables[one] = variables[other] ?? ''
    expect(refusal(variables)).toMatch(/is the same secret as/)
  })

  it('names everything that is wrong at once', () => {
    const said = refusal({ ...good(), PUBLIC_URL: 'http://weir.acme.com', MASTER_KEY: 'A'.repeat(43) })
    expect(said.split('\n')).toHaveLength(3)
  })

  it('is what it is when nothing says otherwise', () => {
    const laptop = { ...good(), PUBLIC_URL: 'http://127.0.0.1:8787', ALLOW_PRIVATE_HOSTS: 'true' }
    expect(refusal({ ...laptop, ENVIRONMENT: 'local' })).toBe('')
    expect(refusal(laptop)).toContain('PUBLIC_URL')
  })
})

describe('a random secret', () => {
  it('is never called weak', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 32, maxLength: 32 }).map(() => randomBytes(32)),
        (bytes) => {
          for (const text of [bytes.toString('base64url'), bytes.toString('hex'), bytes.toString('base64')])
            expect(whyWeak(text)).toBeUndefined()
        },
      ),
      { numRuns: 2_000 },
    )
  })
})
