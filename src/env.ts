import * as z from 'zod'
import { productionProblems } from './production.ts'

const key = (bytes: number) =>
  z
    .string()
    .regex(/^[A-Za-z0-9_-]+$/, 'must be base64url')
    .refine((text) => Math.floor((text.length * 6) / 8) >= bytes, {
      error: `must hold at least ${bytes} random bytes in base64url`,
    })
const url = z.url({ protocol: /^https?$/ })

/** Every variable the Worker reads. `local/` supplies all of them; docs/operations/environment.md says what each is. */
export const environment = z.object({
  ENVIRONMENT: z.enum(['local', 'production']).default('production'),
  /** Where this Worker is reached, by browsers and by QStash; signatures and cookies are bound to it. */
  PUBLIC_URL: url,
  /** The role weir_app; never an owner. */
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\/[^:]+:[^@]+@[^/]+\/.+/, 'must be postgresql://user:password@host/database'),
  /** host:port of a gateway that speaks Neon's protocols without TLS; only with ENVIRONMENT=local. */
  NEON_GATEWAY: z.string().optional(),
  UPSTASH_REDIS_REST_URL: url,
  UPSTASH_REDIS_REST_TOKEN: z.string().min(16),
  QSTASH_URL: url,
  QSTASH_TOKEN: z.string().min(16),
  QSTASH_CURRENT_SIGNING_KEY: z.string().min(16),
  QSTASH_NEXT_SIGNING_KEY: z.string().min(16),
  S3_ENDPOINT: url,
  S3_BUCKET: z.string().min(3),
  S3_REGION: z.string().default('auto'),
  S3_ACCESS_KEY_ID: z.string().min(1),
  S3_SECRET_ACCESS_KEY: z.string().min(1),
  /** Signs the tenant claim; the database holds the same key (and the one before it) in app.claim_keys. */
  CLAIM_KEY: key(32),
  /** Seals the tenants' data keys; the second is accepted while keys rotate. */
  MASTER_KEY: key(32),
  MASTER_KEY_PREVIOUS: key(32).optional(),
  /** Ed25519 private key as a JWK in JSON; the second only verifies while keys rotate. */
  TOKEN_KEY: z.string().startsWith('{'),
  TOKEN_KEY_PREVIOUS: z.string().startsWith('{').optional(),
  /** Other sites whose scripts may call the API with a bearer credential: origins, separated by commas. */
  CORS_ORIGINS: z
    .string()
    .regex(/^https?:\/\/[^/,]+(,https?:\/\/[^/,]+)*$/, 'must be origins separated by commas')
    .optional(),
  /** After how many calls that leave the Worker a delivery hands on to the next one. */
  DELIVERY_CALLS: z
    .string()
    .regex(/^([1-9]\d{0,3}|10000)$/, 'must be a whole number from 1 to 10000')
    .default('1000'),
  /** Where domains of tenants are looked up: DNS over HTTPS, in the JSON that Cloudflare's and Google's resolvers speak. */
  DOH_URL: url.default('https://cloudflare-dns.com/dns-query'),
  /** An HTTP API that takes {from, to, subject, text, html} with a bearer key. Production needs it: accounts live by mail. */
  MAIL_URL: url.optional(),
  MAIL_TOKEN: z.string().min(8).optional(),
  /** What mails are from: an address, or `Weir <weir@example.com>`. */
  MAIL_FROM: z.string().min(3).max(320).optional(),
  /** Where stolen passwords are looked up, by the first five characters of a SHA-1; `off` has a list of our own do. */
  PASSWORD_RANGE_URL: z.union([url, z.literal('off')]).default('https://api.pwnedpasswords.com/range/'),
  /** Lets connections reach private addresses: for a laptop, never for production. */
  ALLOW_PRIVATE_HOSTS: z.enum(['true', 'false']).default('false'),
})
export type Env = z.output<typeof environment>

/** Parses the platform's environment; throws one error that names every variable that is missing or weak. */
export function readEnv(source: Record<string, unknown>): Env {
  const parsed = environment.safeParse(source)
  if (!parsed.success) {
    const lines = parsed.error.issues.map((issue) => `  ${issue.path.join('.')}: ${issue.message}`)
    throw new Error(
      `Weir cannot start; these environment variables are missing or wrong:\n${lines.join('\n')}`,
    )
  }
  const env = parsed.data
  const problems = env.ENVIRONMENT === 'production' ? productionProblems(env) : []
  if (problems.length > 0)
    throw new Error(
      `Weir does not start with these environment variables in production:\n${problems.map((line) => `  ${line}`).join('\n')}`,
    )
  return env
}
