import { describe, expect, inject, it } from 'vitest'
import { SealBroken, secretBox } from '#src/db/secrets.ts'
import { readEnv } from '#src/env.ts'
import { fileOwner, fileWorld } from '#test/support/per-file.ts'
import { connect, json } from '#test/support/pipeline.ts'
import type { Tenant } from '#test/support/world.ts'

const here = await fileWorld()
const owner = await fileOwner()
const [acme, globex] = await Promise.all([here.tenant(), here.tenant()])

const masterKey = () => readEnv({ ...inject('env'), PUBLIC_URL: here.url }).MASTER_KEY
const dbOf = (tenant: Tenant) => here.services.database.tenant(tenant.id, 'test')
const otherKey = Buffer.alloc(32, 7).toString('base64url')
const sealedOf = async (id: string) =>
  (await owner.query<{ secret: string }>('select secret from connections where id = $1', [id])).rows[0]
    ?.secret ?? ''

describe('a sealed secret', () => {
  it('opens for what it was sealed for and for nothing else', async () => {
    const box = secretBox([masterKey()])
    const sealed = await box.seal(dbOf(acme), 'con_one', 'hunter2')
    expect(sealed).not.toContain('hunter2')
    expect(await box.unseal(dbOf(acme), 'con_one', sealed)).toBe('hunter2')
    expect(await box.seal(dbOf(acme), 'con_one', 'hunter2')).not.toBe(sealed)
    await expect(box.unseal(dbOf(acme), 'con_two', sealed)).rejects.toThrow(SealBroken)
    await expect(box.unseal(dbOf(globex), 'con_one', sealed)).rejects.toThrow(SealBroken)
    const [version, iv, body = ''] = sealed.split('.')
    const flipped = `${version}.${iv}.${body.startsWith('A') ? 'B' : 'A'}${body.slice(1)}`
    await expect(box.unseal(dbOf(acme), 'con_one', flipped)).rejects.toThrow(SealBroken)
    await expect(box.unseal(dbOf(acme), 'con_one', `v2.${iv}.${body}`)).rejects.toThrow(SealBroken)
  })

  it('does not open in the row of another connection', async () => {
    const [from, to] = [await connect(acme, 'postgres', 'from'), await connect(acme, 'postgres', 'to')]
    const theirs = await connect(globex, 'postgres', 'theirs')
    const sealed = await sealedOf(from)
    expect(sealed).not.toContain(inject('warehouse').password)
    for (const [tenant, id] of [
      [acme, to],
      [globex, theirs],
    ] as const) {
      await owner.query('update connections set secret = $1 where id = $2', [sealed, id])
      const answer = await tenant.fetch(`/v1/connections/${id}/check`, { method: 'POST' })
      const said = await json<{ ok: boolean; code: string; detail: string }>(answer, 200)
      expect(said).toEqual({
        ok: false,
        code: 'secret_unreadable',
        detail: expect.stringContaining('give it again'),
      })
    }
    expect(
      await json(await acme.fetch(`/v1/connections/${from}/check`, { method: 'POST' }), 200),
    ).toMatchObject({ ok: true })
  })

  it('needs the master key, the one now or the one before', async () => {
    const tenant = await here.tenant()
    const sealed = await secretBox([masterKey()]).seal(dbOf(tenant), 'con_one', 'hunter2')
    expect(await secretBox([otherKey, masterKey()]).unseal(dbOf(tenant), 'con_one', sealed)).toBe('hunter2')
    await expect(secretBox([otherKey]).unseal(dbOf(tenant), 'con_one', sealed)).rejects.toThrow(
      'no master key',
    )
  })

  it('is sealed under one key of the tenant, however many ask first at once', async () => {
    const tenant = await here.tenant()
    const boxes = Array.from({ length: 8 }, () => secretBox([masterKey()]))
    const sealed = await Promise.all(boxes.map((box, i) => box.seal(dbOf(tenant), 'con_one', String(i))))
    const fresh = secretBox([masterKey()])
    expect(await Promise.all(sealed.map((one) => fresh.unseal(dbOf(tenant), 'con_one', one)))).toEqual(
      sealed.map((_, i) => String(i)),
    )
    const { rows } = await owner.query('select sealed from data_keys where tenant_id = $1', [tenant.id])
    expect(rows).toHaveLength(1)
  })
})
