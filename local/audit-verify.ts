import { parseArgs } from 'node:util'
import pg from 'pg'
import { verifyChain, type Verdict } from '#src/actions/audit-verify.ts'
import type { Ask } from '#src/db/audit-chain.ts'
import { placeSigner, type ChainPlace } from '#src/domain/audit.ts'
import type { TenantId } from '#src/domain/id.ts'

const usage = `npm run audit:verify -- [--tenant <id>] [--head <seq>:<hash>]

Says of each tenant's audit log whether it is whole, or which entry is the first that is not. --head is one that was kept
elsewhere (GET /v1/audit/head), with --tenant.

Set WEIR_OWNER_URL and TOKEN_KEY (and TOKEN_KEY_PREVIOUS while keys rotate).`

/** Checks one tenant's log, or everybody's. `say` gets a line for each. */
export async function verifyAudits(
  options: {
    ownerUrl: string
    tokenKeys: readonly string[]
    tenant?: TenantId | undefined
    pinned?: ChainPlace | undefined
  },
  say: (line: string) => void,
): Promise<boolean> {
  const client = new pg.Client({ connectionString: options.ownerUrl })
  await client.connect()
  try {
    await client.query('set role weir_system')
    const ask: Ask = async (text, params) => (await client.query<Record<string, unknown>>(text, params)).rows
    const signer = placeSigner(options.tokenKeys, () => new Date())
    const tenants = options.tenant === undefined ? await everyTenant(ask) : [options.tenant]
    let isWhole = true
    for (const tenant of tenants) {
      const verdict = await verifyChain(ask, tenant, signer, { pinned: options.pinned })
      say(`${tenant}: ${wordsOf(verdict)}`)
      isWhole &&= verdict.ok
    }
    return isWhole
  } finally {
    await client.end()
  }
}

const everyTenant = async (ask: Ask): Promise<TenantId[]> =>
  (await ask('select tenant_id from audit_heads order by tenant_id', [])).map(
    (row) => row['tenant_id'] as TenantId,
  )

function wordsOf(verdict: Verdict): string {
  if (!verdict.ok) return `entry ${verdict.seq} is the first that is wrong: ${faults[verdict.fault]}`
  const { head } = verdict
  return `ok, ${verdict.checked} entries, ${head ? `head ${head.seq}:${head.hash}` : 'nothing sealed yet'}`
}

const faults = {
  missing: 'it is missing',
  changed: 'it, or what is before it, was changed',
  backdated: 'it was written long after its time',
  truncated: 'it and what follows was cut off',
  left_out: 'an entry was put in that no sealing saw in its time',
  signature: 'its signature is not one of this Worker',
  pinned: 'it is not the one that was kept elsewhere',
} as const satisfies Record<(Verdict & { ok: false })['fault'], string>

function placeOf(text: string | undefined): ChainPlace | undefined {
  if (text === undefined) return undefined
  const [, seq, hash] = /^(\d+):([0-9a-f]{64})$/.exec(text) ?? []
  if (seq === undefined || hash === undefined) throw new Error(usage)
  return { seq: Number(seq), hash }
}

if (import.meta.main) {
  const { WEIR_OWNER_URL: ownerUrl, TOKEN_KEY, TOKEN_KEY_PREVIOUS } = process.env
  const { values } = parseArgs({ options: { tenant: { type: 'string' }, head: { type: 'string' } } })
  if (!ownerUrl || !TOKEN_KEY || (values.head && !values.tenant)) {
    console.error(usage)
    process.exit(2)
  }
  const tokenKeys = [TOKEN_KEY, ...(TOKEN_KEY_PREVIOUS ? [TOKEN_KEY_PREVIOUS] : [])]
  const tenant = values.tenant as TenantId | undefined
  const isWhole = await verifyAudits(
    { ownerUrl, tokenKeys, tenant, pinned: placeOf(values.head) },
    console.log,
  )
  process.exitCode = isWhole ? 0 : 1
}
