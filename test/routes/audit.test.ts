import { describe, expect, it } from 'vitest'
import { keepUpAudit } from '#src/actions/audit-upkeep.ts'
import type { AuditEntry, SignedPlace } from '#src/domain/audit.ts'
import { newId } from '#src/domain/id.ts'
import { fileDatabase, fileWorldOn } from '#test/support/per-file.ts'
import { json } from '#test/support/pipeline.ts'
import type { Tenant } from '#test/support/world.ts'

const database = await fileDatabase()
const { owner } = database
const here = await fileWorldOn(database)
const [acme, globex] = await Promise.all([here.tenant(), here.tenant()])

type List = { items: AuditEntry[]; nextCursor?: string }
const search = async (query: Record<string, string | number>, tenant = acme): Promise<List> =>
  json<List>(
    await tenant.fetch(
      `/v1/audit?${new URLSearchParams(Object.entries(query).map(([k, v]) => [k, String(v)])).toString()}`,
    ),
    200,
  )
const noted = (tenant: Tenant, action: string, id: string, details: object = {}, at = '0 s') =>
  owner
    .query(
      `with made as (select app.note($1, 'usr_somebody', $2, 'thing', $3, $4::jsonb))
     select * from made`,
      [tenant.id, action, id, JSON.stringify(details)],
    )
    .then(() =>
      at === '0 s'
        ? undefined
        : owner.query(
            `begin; set local session_replication_role = replica; update audit_entries set at = at - interval '${at}' where target_id = '${id}'; commit`,
          ),
    )

describe('GET /v1/audit', () => {
  it('finds by actor, beginning of the action, target, kind, request, time and text', async () => {
    const [a, b] = [newId('channel'), newId('channel')]
    await noted(acme, 'thing.update', a, { name: 'Blue thing', requestId: 'req-1' })
    await noted(
      acme,
      'thing.delete',
      b,
      { requestId: 'req-2', changed: { colour: { from: 'green' } } },
      '3 days',
    )
    await noted(acme, 'thinner.update', 'x')
    const targets = async (query: Record<string, string>) =>
      (await search(query)).items.map(({ targetId }) => targetId)
    expect(await targets({ action: 'thing.' })).toEqual([a, b])
    expect(await targets({ action: 'thing.delete' })).toEqual([b])
    expect(await targets({ action: 'thi' })).toEqual(['x', a, b])
    expect(await targets({ actor: 'usr_somebody', requestId: 'req-1' })).toEqual([a])
    expect(await targets({ target: b })).toEqual([b])
    expect(await targets({ kind: 'thing', search: 'BLUE' })).toEqual([a])
    expect(await targets({ search: 'green', action: 'thing.' })).toEqual([b])
    const dayAgo = new Date(Date.now() - 86_400_000).toISOString()
    expect(await targets({ action: 'thing.', to: dayAgo })).toEqual([b])
    expect(await targets({ action: 'thing.', from: dayAgo })).toEqual([a])
    expect(await targets({ action: 'thing.', actor: 'usr_nobody' })).toEqual([])
    expect(await targets({ search: '100%_' })).toEqual([])
  })

  it('goes through all of them in pages, each once, whatever is noted meanwhile', async () => {
    for (let n = 0; n < 23; n++) await noted(acme, `page.${n % 3 === 0 ? 'update' : 'create'}`, `p${n}`)
    for (const query of [
      { action: 'page.' },
      { kind: 'thing', action: 'page.update' },
      { search: 'nothing like it' },
    ]) {
      const seen: string[] = []
      let cursor: string | undefined
      do {
        const found: List = await search({ ...query, limit: 5, ...(cursor ? { cursor } : {}) })
        expect(found.items.length).toBeLessThanOrEqual(5)
        seen.push(...found.items.map(({ targetId }) => targetId ?? ''))
        cursor = found.nextCursor
      } while (cursor)
      const wanted = Array.from({ length: 23 }, (_, n) => n)
        .filter((n) => ('search' in query ? false : query.action === 'page.' || n % 3 === 0))
        .map((n) => `p${n}`)
      expect(seen).toEqual(wanted.toReversed())
    }
  })

  it('shows nobody another tenant’s entries, and notes that it was read, with how many', async () => {
    await noted(acme, 'secret.update', 'ours')
    expect((await search({ target: 'ours' }, globex)).items).toEqual([])
    expect((await search({ action: 'secret.' }, globex)).items).toEqual([])
    const { items } = await search({ target: 'ours' })
    expect(items).toHaveLength(1)
    const [read] = (await search({ action: 'audit.read', limit: 1 })).items
    expect(read).toMatchObject({
      actorKind: 'api-key',
      records: 1,
      details: { filter: { target: 'ours' } },
    })
    const all = await search({ limit: 500 }, globex)
    const ids = await owner.query<{ id: string }>(`select id from audit_entries where tenant_id = $1`, [
      globex.id,
    ])
    const own = new Set(ids.rows.map(({ id }) => Number(id)))
    expect(all.items.every(({ id }) => own.has(id))).toBe(true)
  })

  it('is for those who may read it, and refuses what it does not know', async () => {
    const { key } = await json<{ key: string }>(
      await acme.fetch('/v1/api-keys', {
        method: 'POST',
        headers: { Authorization: `Bearer ${acme.accessToken}` },
        body: { name: 'little', scopes: ['runs:read', 'connections:write'] },
      }),
      201,
    )
    for (const path of ['/v1/audit', '/v1/audit/export', '/v1/audit/head', '/v1/audit/streams'])
      expect((await acme.fetch(path, { headers: { Authorization: `Bearer ${key}` } })).status, path).toBe(403)
    for (const path of ['/v1/audit/verify', '/v1/audit/streams']) {
      const body = path.endsWith('verify') ? {} : { name: 'n', url: 'https://example.com' }
      const asked = await acme.fetch(path, {
        method: 'POST',
        headers: { Authorization: `Bearer ${key}` },
        body,
      })
      expect(asked.status, path).toBe(403)
    }
    for (const query of ['action=x%27', 'from=yesterday', 'colour=blue', 'cursor=x'])
      expect((await acme.fetch(`/v1/audit?${query}`)).status, query).toBe(400)
  })
})

describe('GET /v1/audit/export', () => {
  it('gives all that fits as NDJSON, page by page, and notes what it gave', async () => {
    const tenant = await here.tenant()
    await owner.query(
      `select app.note($1, 'usr_many', 'many.update', 'thing', n::text, '{}') from generate_series(1, 4500) n`,
      [tenant.id],
    )
    const answer = await tenant.fetch('/v1/audit/export?action=many.')
    expect(answer.headers.get('content-type')).toBe('application/x-ndjson')
    const lines = (await answer.text())
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as AuditEntry)
    expect(lines.map(({ targetId }) => targetId)).toEqual(
      Array.from({ length: 4500 }, (_, n) => String(4500 - n)),
    )
    const { items } = await search({ action: 'audit.export' }, tenant)
    expect(items.map(({ records }) => records)).toEqual([500, 2000, 2000])
    expect(await (await globex.fetch('/v1/audit/export?action=many.')).text()).toBe('')
  })

  it('gives CSV in which no cell is a formula', async () => {
    await noted(acme, 'cell.update', '=1+1', { name: '@SUM(A1), "quoted"' })
    const answer = await acme.fetch('/v1/audit/export?format=csv&action=cell.')
    expect(answer.headers.get('content-disposition')).toBe('attachment; filename="audit.csv"')
    const [head, line, ...more] = (await answer.text()).split('\r\n')
    expect(head).toMatch(/^seq,at,actor,/)
    expect(line).toContain(`,thing,'=1+1,"'@SUM(A1), ""quoted""",`)
    expect(more).toEqual([''])
  })
})

describe('the chain', () => {
  type Head = { tenantId: string; head?: { seq: number; hash: string }; signed?: SignedPlace }
  const headOf = async (tenant: Tenant) => json<Head>(await tenant.fetch('/v1/audit/head'), 200)
  const verify = async (tenant: Tenant, body: object = {}) =>
    json<Record<string, unknown>>(await tenant.fetch('/v1/audit/verify', { method: 'POST', body }), 200)

  it('has a head that everybody can check with the published key', async () => {
    await keepUpAudit(here.services)
    const { tenantId, head, signed } = await headOf(acme)
    expect(tenantId).toBe(acme.id)
    expect(signed).toMatchObject({ seq: head?.seq, hash: head?.hash })
    const { keys } = await json<{ keys: (JsonWebKey & { kid: string })[] }>(
      await here.app.request('/.well-known/jwks.json'),
      200,
    )
    const jwk = keys.find(({ kid }) => kid === signed?.keyId)
    const key = await crypto.subtle.importKey(
      'jwk',
      { kty: 'OKP', crv: 'Ed25519', x: jwk?.x ?? '' },
      'Ed25519',
      false,
      ['verify'],
    )
    const text = `weir audit head 1\n${tenantId}\n${signed?.seq}\n${signed?.hash}\n${signed?.at}`
    const signature = Buffer.from(signed?.signature ?? '', 'base64url')
    expect(await crypto.subtle.verify('Ed25519', key, signature, Buffer.from(text))).toBe(true)
    expect(
      await crypto.subtle.verify('Ed25519', key, signature, Buffer.from(text.replace('head', 'anchor'))),
    ).toBe(false)
  })

  it('is checked on request, a part at a time, against a head that was kept', async () => {
    const tenant = await here.tenant()
    await keepUpAudit(here.services)
    const { head } = await headOf(tenant)
    await owner.query(
      `select app.note($1, 'usr_many', 'many.update', 'thing', n::text, '{}') from generate_series(1, 600) n`,
      [tenant.id],
    )
    await keepUpAudit(here.services)
    const first = await verify(tenant, { head, most: 500 })
    expect(first).toMatchObject({ ok: true, checked: 500, next: { seq: 500 } })
    const second = await verify(tenant, { head, from: first['next'] })
    expect(second).toMatchObject({ ok: true, checked: ((await headOf(tenant)).head?.seq ?? 0) - 500 })
    expect(second).not.toHaveProperty('next')
    expect(await verify(tenant, { head: { ...head, hash: '0'.repeat(64) } })).toMatchObject({
      ok: false,
      fault: 'pinned',
    })
    expect(await verify(globex, { head: { seq: 1, hash: head?.hash } })).toMatchObject({
      ok: false,
      fault: 'pinned',
    })
    await owner.query(
      `begin; set local session_replication_role = replica; delete from audit_entries where tenant_id = '${tenant.id}' and seq = 550; commit`,
    )
    expect(await verify(tenant, { most: 500 })).toMatchObject({ ok: true, next: { seq: 500 } })
    expect(await verify(tenant, { from: first['next'] })).toMatchObject({
      ok: false,
      seq: 550,
      fault: 'missing',
    })
  })
})
