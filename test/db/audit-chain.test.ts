import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { verifyChain, type Verdict } from '#src/actions/audit-verify.ts'
import { readChain, sealAudit, type Ask } from '#src/db/audit-chain.ts'
import { placeSigner, type ChainPlace, type PlaceSigner } from '#src/domain/audit.ts'
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
const upkeep = (by?: PlaceSigner) => stage.upkeep(by)
const noted = (tenant: TenantId, count: number) => stage.noted(tenant, count)
const verify = (tenant: TenantId, pinned?: ChainPlace) => stage.verify(tenant, pinned)
const headOf = (tenant: TenantId) => stage.headOf(tenant)
const tamper = (text: string, params: unknown[] = [acme]) => stage.tamper(text, params)

beforeEach(async () => {
  ;[acme, globex] = [await stage.sealedTenant(9), await stage.sealedTenant(4)]
})

/** He also makes the chain right again after it, as the sealer would. */
const resealed = `
  with recursive chain as (
    select e.seq, e.id, sha256((select hash from audit_entries b where b.tenant_id = $1 and b.seq = $2::bigint - 1) ||
      convert_to(app.audit_canonical(e, e.seq), 'UTF8')) as hash
    from audit_entries e where e.tenant_id = $1 and e.seq = $2::bigint
    union all
    select e.seq, e.id, sha256(c.hash || convert_to(app.audit_canonical(e, e.seq), 'UTF8'))
    from chain c join audit_entries e on e.tenant_id = $1 and e.seq = c.seq + 1)
  update audit_entries e set hash = c.hash from chain c where e.tenant_id = $1 and e.id = c.id`

describe('sealing', () => {
  it('numbers each tenant’s entries without a gap, whoever seals at the same time', async () => {
    await Promise.all([noted(acme, 60), noted(globex, 40)])
    const sealing = Array.from({ length: 8 }, () => sealAudit(stage.database, 7))
    await Promise.all([...sealing, noted(acme, 30)])
    await upkeep()
    for (const [tenant, count] of [
      [acme, 100],
      [globex, 45],
    ] as const) {
      expect(await verify(tenant)).toMatchObject({ ok: true, checked: count })
      const { rows } = await stage.owner.query<{ seq: string }>(
        'select seq from audit_entries where tenant_id = $1 order by seq',
        [tenant],
      )
      expect(rows.map(({ seq }) => Number(seq))).toEqual(Array.from({ length: count }, (_, n) => n + 1))
    }
  })

  it('leaves what is not committed to the next time', async () => {
    const other = await client(stage.ownerUrl)
    await other.query('begin')
    await other.query(`select app.note($1, 'usr_x', 'late.update', 'thing', 'x', '{}')`, [acme])
    await noted(acme, 1)
    await upkeep()
    expect((await headOf(acme)).seq).toBe(11)
    await other.query('commit')
    await other.end()
    await upkeep()
    expect(await verify(acme)).toMatchObject({ ok: true, checked: 12 })
    expect(
      await ask(`select seq from audit_entries where tenant_id = $1 and action = 'late.update'`, [acme]),
    ).toEqual([{ seq: '12' }])
  })

  it('is signed by the Worker, which checks what was signed before it signs again', async () => {
    const { signed, head } = await readChain(ask, acme)
    expect(signed).toMatchObject({ seq: head?.seq, hash: head?.hash, keyId: await stage.signer.keyId() })
    await stage.owner.query(
      `update audit_heads set signed = jsonb_set(signed, '{hash}', to_jsonb(repeat('0', 64))) where tenant_id = $1`,
      [acme],
    )
    await noted(acme, 1)
    await upkeep()
    expect(stage.logged).toContainEqual(
      expect.objectContaining({ event: 'audit.signature_refused', tenantId: acme }),
    )
    expect((await readChain(ask, acme)).signed?.seq).toBe(10)
    expect(await verify(acme)).toMatchObject({ ok: false, fault: 'signature' })
    expect(await verify(globex)).toMatchObject({ ok: true })
  })

  it('is signed anew when the key changes, while the old one is still known', async () => {
    const pair = (await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])) as CryptoKeyPair
    const { kty, crv, x, d } = await crypto.subtle.exportKey('jwk', pair.privateKey)
    const key = JSON.stringify({ kty, crv, x, d })
    const both = placeSigner([key, ...stage.keys], () => new Date())
    await upkeep(both)
    const alone = placeSigner([key], () => new Date())
    expect(await verifyChain(ask, acme, alone)).toMatchObject({ ok: true, checked: 10 })
    expect(await verify(acme)).toMatchObject({ ok: false, fault: 'signature' })
    await upkeep(placeSigner([...stage.keys, key], () => new Date()))
    expect(await verify(acme)).toMatchObject({ ok: true })
  })
})

describe('what somebody with the database did is found', () => {
  it.each<[string, string, Partial<Verdict & { ok: false }>]>([
    [
      'an entry changed',
      `update audit_entries set actor = 'usr_y' where tenant_id = $1 and seq = 4`,
      { seq: 4, fault: 'changed' },
    ],
    [
      'one detail changed',
      `update audit_entries set details = jsonb_set(details, '{n,0}', '2') where tenant_id = $1 and seq = 7`,
      { seq: 7, fault: 'changed' },
    ],
    [
      'an entry deleted',
      `delete from audit_entries where tenant_id = $1 and seq = 5`,
      { seq: 5, fault: 'missing' },
    ],
    [
      'the first entry deleted',
      `delete from audit_entries where tenant_id = $1 and seq = 1`,
      { seq: 1, fault: 'missing' },
    ],
    [
      'the oldest entries deleted, and the anchor moved after them',
      `with gone as (delete from audit_entries where tenant_id = $1 and seq <= 3 returning seq, hash)
       update audit_heads set anchor_seq = 3, anchor = jsonb_build_object('seq', 3, 'hash', (select encode(hash, 'hex') from gone where seq = 3),
         'at', '2026-01-01', 'keyId', signed->>'keyId', 'signature', signed->>'signature') where tenant_id = $1`,
      { seq: 3, fault: 'signature' },
    ],
    [
      'two entries in the other order',
      `update audit_entries e set actor = o.actor, target_id = o.target_id, at = o.at from audit_entries o
       where e.tenant_id = $1 and o.tenant_id = $1 and (e.seq, o.seq) in ((5, 6), (6, 5))`,
      { seq: 5, fault: 'changed' },
    ],
    [
      'the last entries cut off',
      `delete from audit_entries where tenant_id = $1 and seq > 8`,
      { seq: 10, fault: 'truncated' },
    ],
    [
      'the last entries cut off, and the head with them',
      `with gone as (delete from audit_entries where tenant_id = $1 and seq > 8)
       update audit_heads set seq = 8, hash = (select hash from audit_entries where tenant_id = $1 and seq = 8) where tenant_id = $1`,
      { seq: 10, fault: 'truncated' },
    ],
    [
      'the last entries cut off, and the head with its signature',
      `with gone as (delete from audit_entries where tenant_id = $1 and seq > 8),
       kept as (select encode(hash, 'hex') as hash from audit_entries where tenant_id = $1 and seq = 8)
       update audit_heads set seq = 8, hash = decode(kept.hash, 'hex'), signed = signed || jsonb_build_object('seq', 8, 'hash', kept.hash)
       from kept where tenant_id = $1`,
      { seq: 8, fault: 'signature' },
    ],
  ])('%s', async (_, text, found) => {
    await tamper(text)
    expect(await verify(acme)).toMatchObject({ ok: false, ...found })
    expect(await verify(globex)).toMatchObject({ ok: true, checked: 5 })
  })

  it('an entry put between others, with all numbers after it and all hashes made anew', async () => {
    await tamper('update audit_entries set seq = -(seq + 1) where tenant_id = $1 and seq >= 5')
    await tamper('update audit_entries set seq = -seq where tenant_id = $1 and seq < 0')
    await tamper(
      `insert into audit_entries (tenant_id, at, actor, actor_kind, action, target_kind, seq, hash, sealed_at)
       select tenant_id, at, 'usr_y', 'user', 'forged.update', 'thing', 5, hash, sealed_at from audit_entries where tenant_id = $1 and seq = 4`,
    )
    expect(await verify(acme)).toMatchObject({ ok: false })
    await tamper(resealed, [acme, 5])
    await tamper(
      'update audit_heads set seq = 11, hash = (select hash from audit_entries where tenant_id = $1 and seq = 11) where tenant_id = $1',
    )
    expect(await verify(acme)).toMatchObject({ ok: false, seq: 10, fault: 'changed' })
  })

  it('an entry changed and all hashes after it made anew', async () => {
    const pinned = await headOf(acme)
    await tamper(`update audit_entries set actor = 'usr_y' where tenant_id = $1 and seq = 4`)
    await tamper(resealed, [acme, 4])
    await tamper(
      'update audit_heads set hash = (select hash from audit_entries where tenant_id = $1 and seq = 10) where tenant_id = $1',
    )
    expect(await verify(acme)).toMatchObject({ ok: false, seq: 10, fault: 'changed' })
    // Were there no signature, only who kept a head elsewhere would see it.
    await tamper('update audit_heads set signed = null where tenant_id = $1')
    expect(await verify(acme)).toMatchObject({ ok: true })
    expect(await verify(acme, pinned)).toMatchObject({ ok: false, seq: 10, fault: 'pinned' })
  })

  it('an entry with a time that is long over, sealed or not', async () => {
    await tamper(
      `insert into audit_entries (tenant_id, at, actor, actor_kind, action, target_kind) values ($1, now() - interval '2 hours', 'usr_y', 'user', 'forged.update', 'thing')`,
    )
    expect(await verify(acme)).toMatchObject({ ok: false, fault: 'left_out' })
    await upkeep()
    expect(await verify(acme)).toMatchObject({ ok: false, seq: 11, fault: 'backdated' })
  })

  it('the end taken back to how it was, by who kept a later head', async () => {
    const { rows } = await stage.owner.query<{ head: object }>(
      'select to_jsonb(h) as head from audit_heads h where tenant_id = $1',
      [acme],
    )
    await noted(acme, 3)
    await upkeep()
    const pinned = await headOf(acme)
    expect(await verify(acme, pinned)).toMatchObject({ ok: true, checked: 13 })
    await tamper('delete from audit_entries where tenant_id = $1 and seq > 10')
    await tamper(
      `update audit_heads h set (seq, hash, signed) = (select r.seq, r.hash, r.signed from jsonb_populate_record(null::audit_heads, $2::jsonb) r) where tenant_id = $1`,
      [acme, JSON.stringify(rows[0]?.head)],
    )
    expect(await verify(acme)).toMatchObject({ ok: true, checked: 10 })
    expect(await verify(acme, pinned)).toMatchObject({ ok: false, seq: 13, fault: 'truncated' })
  })
})
