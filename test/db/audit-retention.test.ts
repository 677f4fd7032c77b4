import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { verifyAudits } from '#local/audit-verify.ts'
import { hashAt, readChain, type Ask } from '#src/db/audit-chain.ts'
import type { TenantId } from '#src/domain/id.ts'
import { auditStage, type AuditStage } from '#test/support/audit-stage.ts'
import { client } from '#test/support/own-stack.ts'

let stage: AuditStage
let acme: TenantId
let globex: TenantId

beforeAll(async () => {
  stage = await auditStage()
})
afterAll(() => stage.close())

const ask: Ask = (text, params) => stage.ask(text, params)
const upkeep = () => stage.upkeep()
const verify = (tenant: TenantId) => stage.verify(tenant)
const headOf = (tenant: TenantId) => stage.headOf(tenant)
const tamper = (text: string, params: unknown[] = [acme]) => stage.tamper(text, params)

beforeEach(async () => {
  ;[acme, globex] = [await stage.sealedTenant(9), await stage.sealedTenant(4)]
})

describe('retention', () => {
  const old = (tenant: TenantId, upTo: number) =>
    tamper(
      `update audit_entries set at = at - interval '40 days' where tenant_id = $1 and id in (
      select id from audit_entries where tenant_id = $1 order by id limit $2::int)`,
      [tenant, upTo],
    )
  const unseal = async (tenant: TenantId) => {
    await tamper('update audit_entries set seq = null, hash = null, sealed_at = null where tenant_id = $1', [
      tenant,
    ])
    await tamper('delete from audit_heads where tenant_id = $1', [tenant])
  }

  it('takes what is older than the tenant keeps, and the rest is still a chain', async () => {
    for (const tenant of [acme, globex]) {
      await unseal(tenant)
      await old(tenant, 4)
    }
    await stage.owner.query('update tenants set audit_retention_days = 30 where tenant_id = $1', [acme])
    await upkeep()
    expect(await verify(acme)).toMatchObject({ ok: true })
    expect((await readChain(ask, acme)).anchorSeq).toBe(4)
    expect(await ask('select count(*)::int as n from audit_entries where tenant_id = $1', [acme])).toEqual([
      { n: 7 },
    ])
    expect(await ask('select count(*)::int as n from audit_entries where tenant_id = $1', [globex])).toEqual([
      { n: 5 },
    ])
    expect(await verify(globex)).toMatchObject({ ok: true, checked: 5 })
    await tamper('delete from audit_entries where tenant_id = $1 and seq = 5')
    expect(await verify(acme)).toMatchObject({ ok: false, seq: 5, fault: 'missing' })
  })

  it('lets a tenant that is erased take its log with it, and only that one', async () => {
    await stage.owner.query(`update tenants set deletes_at = now() + interval '1 day' where tenant_id = $1`, [
      acme,
    ])
    const system = await client(stage.ownerUrl)
    await system.query('set role weir_system')
    const take = (tenant: TenantId) =>
      system.query('delete from audit_entries where tenant_id = $1', [tenant])
    await expect(take(acme)).rejects.toMatchObject({ code: '42501' })
    await stage.owner.query(`update tenants set deletes_at = now() where tenant_id = $1`, [acme])
    // Its ten, and the two that say when it was to end.
    expect((await take(acme)).rowCount).toBe(12)
    await expect(take(globex)).rejects.toMatchObject({ code: '42501' })
    await system.end()
  })

  it('is the database’s to decide: nothing that is younger goes, whatever it is asked', async () => {
    await stage.owner.query('update tenants set audit_retention_days = 30 where tenant_id = $1', [acme])
    const head = await headOf(acme)
    const app = await client(stage.ownerUrl)
    await app.query('set role weir_app')
    const { rows } = await app.query(`select app.prune_audit($1, $2::jsonb, 1000) as gone`, [
      acme,
      JSON.stringify(head),
    ])
    await app.end()
    expect(rows).toEqual([{ gone: 0 }])
    expect(await hashAt(ask, acme, 1)).toMatch(/^[0-9a-f]{64}$/)
  })
})

describe('npm run audit:verify', () => {
  it('says of each tenant whether its log is whole, and fails where one is not', async () => {
    const lines: string[] = []
    const run = (more: object = {}) =>
      verifyAudits({ ownerUrl: stage.ownerUrl, tokenKeys: stage.keys, ...more }, (line) => lines.push(line))
    const head = await headOf(acme)
    expect(await run({ tenant: acme, pinned: head })).toBe(true)
    expect(lines).toEqual([`${acme}: ok, 10 entries, head 10:${head.hash}`])
    await tamper(`update audit_entries set address = '10.0.0.1' where tenant_id = $1 and seq = 2`)
    expect(await run()).toBe(false)
    expect(lines).toContainEqual(
      `${acme}: entry 2 is the first that is wrong: it, or what is before it, was changed`,
    )
    expect(lines.some((line) => line.startsWith(`${globex}: ok, 5 entries`))).toBe(true)
  })
})
