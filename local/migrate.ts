import { createHash, createHmac } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import pg from 'pg'

const folder = new URL('../migrations/', import.meta.url)

/**
 * Brings a database to the newest migration, in one pass under a lock; each migration is one transaction. Refused when
 * the text of an applied migration has changed since. Sets weir_app's password and the claim keys, which no file holds.
 * @param options.ownerUrl a role that may create roles, schemas and tables; never the Worker's
 * @param options.claimKeys base64url keys, the newest first; at most two
 */
export async function migrate(options: {
  ownerUrl: string
  appPassword: string
  claimKeys: readonly string[]
}): Promise<{ applied: string[] }> {
  const client = new pg.Client({ connectionString: options.ownerUrl })
  await client.connect()
  try {
    await client.query(`select pg_advisory_lock(hashtext('weir migrations'))`)
    const applied = await applyFiles(client)
    await setSecrets(client, options)
    return { applied }
  } finally {
    await client.end()
  }
}

async function applyFiles(client: pg.Client): Promise<string[]> {
  await client.query(`create schema if not exists weir_migrations`)
  await client.query(`create table if not exists weir_migrations.applied
    (name text primary key, sha256 text not null, applied_at timestamptz not null default now())`)
  const { rows } = await client.query<{ name: string; sha256: string }>(
    'select name, sha256 from weir_migrations.applied',
  )
  const known = new Map(rows.map((row) => [row.name, row.sha256]))
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort()
  const applied: string[] = []
  for (const name of names) {
    const text = await readFile(new URL(name, folder), 'utf8')
    const sha256 = createHash('sha256').update(text).digest('hex')
    const before = known.get(name)
    if (before === sha256) continue
    if (before)
      throw new Error(
        `migrations/${name} was applied with another text. Applied migrations never change: write a new one.`,
      )
    await client.query('begin')
    try {
      for (const statement of text.split('--> statement-breakpoint'))
        if (statement.trim()) await client.query(statement)
      await client.query('insert into weir_migrations.applied (name, sha256) values ($1, $2)', [name, sha256])
      await client.query('commit')
    } catch (cause) {
      await client.query('rollback')
      throw new Error(`migrations/${name}: ${cause instanceof Error ? cause.message : String(cause)}`, {
        cause,
      })
    }
    applied.push(name)
  }
  return applied
}

async function setSecrets(client: pg.Client, options: { appPassword: string; claimKeys: readonly string[] }) {
  await client.query(`alter role weir_app password ${pg.escapeLiteral(options.appPassword)}`)
  await client.query('begin')
  await client.query('delete from app.claim_keys')
  for (const key of options.claimKeys.slice(0, 2)) {
    const { id, inner, outer } = padsOf(Buffer.from(key, 'base64url'))
    await client.query('insert into app.claim_keys (id, inner_pad, outer_pad) values ($1, $2, $3)', [
      id,
      inner,
      outer,
    ])
  }
  await client.query('commit')
}

/** The two padded halves of an HMAC-SHA256 key (RFC 2104, section 2). */
function padsOf(key: Buffer): { id: string; inner: Buffer; outer: Buffer } {
  const block = Buffer.alloc(64)
  ;(key.length > 64 ? createHash('sha256').update(key).digest() : key).copy(block)
  return {
    id: createHmac('sha256', key).update('id').digest('hex').slice(0, 16),
    inner: Buffer.from(block.map((byte) => byte ^ 0x36)),
    outer: Buffer.from(block.map((byte) => byte ^ 0x5c)),
  }
}

if (import.meta.main) {
  const { WEIR_OWNER_URL, WEIR_APP_PASSWORD, CLAIM_KEY, CLAIM_KEY_PREVIOUS } = process.env
  if (!WEIR_OWNER_URL || !WEIR_APP_PASSWORD || !CLAIM_KEY) {
    console.error(
      'Set WEIR_OWNER_URL, WEIR_APP_PASSWORD and CLAIM_KEY (and CLAIM_KEY_PREVIOUS while keys rotate).',
    )
    process.exit(1)
  }
  const claimKeys = [CLAIM_KEY, ...(CLAIM_KEY_PREVIOUS ? [CLAIM_KEY_PREVIOUS] : [])]
  const { applied } = await migrate({ ownerUrl: WEIR_OWNER_URL, appPassword: WEIR_APP_PASSWORD, claimKeys })
  console.log(applied.length ? `Applied ${applied.join(', ')}.` : 'Nothing to apply.')
}
