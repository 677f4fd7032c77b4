import type pg from 'pg'
import { expect, inject } from 'vitest'
import { keepUpAudit } from '#src/actions/audit-upkeep.ts'
import { verifyChain, type Verdict } from '#src/actions/audit-verify.ts'
import { readChain, type Ask } from '#src/db/audit-chain.ts'
import { connectDatabase, type Database } from '#src/db/database.ts'
import { placeSigner, type ChainPlace, type PlaceSigner } from '#src/domain/audit.ts'
import { newId, type TenantId } from '#src/domain/id.ts'
import type { EngineServices } from '#src/engine/services.ts'
import { ownDatabase } from './own-database.ts'

export type AuditStage = {
  owner: pg.Client
  ownerUrl: string
  database: Database
  keys: string[]
  signer: PlaceSigner
  ask: Ask
  /** What the upkeep has logged. */
  logged: Record<string, unknown>[]
  upkeep(by?: PlaceSigner): Promise<void>
  noted(tenant: TenantId, count: number): Promise<void>
  /** A tenant whose own beginning, and `count` more, are sealed. */
  sealedTenant(count: number): Promise<TenantId>
  verify(tenant: TenantId, pinned?: ChainPlace): Promise<Verdict>
  headOf(tenant: TenantId): Promise<ChainPlace>
  /** As somebody does who has the database: no trigger is in the way. */
  tamper(text: string, params: unknown[]): Promise<void>
  close(): Promise<void>
}

/** Logs of tenants in a database of their own, and no Worker but what seals them. */
export async function auditStage(): Promise<AuditStage> {
  const env = inject('env')
  const own = await ownDatabase()
  const { owner, ownerUrl, url } = own
  const now = () => new Date()
  const database = connectDatabase({
    url,
    gateway: env['NEON_GATEWAY'],
    claimKey: env['CLAIM_KEY'] ?? '',
    now,
  })
  const keys = [env['TOKEN_KEY'] ?? '']
  const signer = placeSigner(keys, now)
  const logged: Record<string, unknown>[] = []
  const log = (entry: Record<string, unknown>) => void logged.push(entry)
  const ask: Ask = async (text, params) => (await owner.query<Record<string, unknown>>(text, params)).rows
  const upkeep = (by = signer) =>
    keepUpAudit({
      database,
      placeSigner: by,
      send: () => Promise.resolve(),
      log,
      now,
    } as unknown as EngineServices)
  const noted = async (tenant: TenantId, count: number) => {
    const details = '{"name": "Thing", "n": [1, {"b": 2, "a": 1.50}]}'
    for (let n = 0; n < count; n++)
      await owner.query(`select app.note($1, 'usr_x', 'thing.update', 'thing', $2, $3::jsonb)`, [
        tenant,
        `thing_${n}`,
        details,
      ])
  }
  return {
    owner,
    ownerUrl,
    database,
    keys,
    signer,
    ask,
    logged,
    upkeep,
    noted,
    async sealedTenant(count) {
      const id = newId('tenant')
      await owner.query(`insert into tenants (tenant_id, name) values ($1, 'T')`, [id])
      await noted(id, count)
      await upkeep()
      const seq = count + 1
      expect(await verifyChain(ask, id, signer)).toMatchObject({ ok: true, checked: seq, head: { seq } })
      return id
    },
    verify: (tenant, pinned) => verifyChain(ask, tenant, signer, { pinned }),
    headOf: async (tenant) => (await readChain(ask, tenant)).head ?? { seq: 0, hash: '' },
    async tamper(text, params) {
      await owner.query('begin')
      await owner.query('set local session_replication_role = replica')
      const { rowCount } = await owner.query(text, params)
      await owner.query('commit')
      expect(rowCount).toBeGreaterThan(0)
    },
    close: () => own.leave(),
  }
}
