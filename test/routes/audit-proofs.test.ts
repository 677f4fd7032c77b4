import { describe, expect, it } from 'vitest'
import { tryCode } from '#src/db/factors.ts'
import { audited } from '#test/support/audited.ts'
import { authenticator } from '#test/support/authenticator.ts'
import { fileFactorWorld, minute } from '#test/support/factors.ts'
import { send, type Person } from '#test/support/member.ts'
import { json } from '#test/support/pipeline.ts'

const w = await fileFactorWorld()

type Options = { challenge: string; allowCredentials?: { id: string }[] }
const notOne = '000000'
const wrongRecovery = 'AAAAA-BBBBB-CCCCC-DDDDD'

/** A request with a name and a browser of its own, so that its entries are told from others. */
function asking(path: string, body: unknown, who?: Person) {
  const id = `req-${crypto.randomUUID()}`
  const headers = { 'X-Request-Id': id, 'User-Agent': 'an auditor' }
  const answer = who
    ? who.fetch(path, { method: 'POST', body, headers })
    : send(w.here, path, { body, headers })
  return { id, answer }
}
async function refused(path: string, body: unknown, status: number, who?: Person) {
  const { id, answer } = asking(path, body, who)
  expect((await answer).status).toBe(status)
  return audited(w.owner, id)
}
const second = async (person: Person, shown: object, status = 401) =>
  refused('/v1/sessions/factor', { token: (await w.challengeOf(person)).token, ...shown }, status)
const entry = (person: Person, details: object) => ({
  action: 'factor.refused',
  actor: person.userId,
  target_id: person.userId,
  user_agent: 'an auditor',
  address: expect.stringMatching(/^2001:db8:/) as unknown,
  details,
})

describe('a second factor that is none', () => {
  it('in a sign-in is in the log of every tenant of the person: who, which, from where and why', async () => {
    const { person, secret, recoveryCodes } = await w.withTotp()
    const elsewhere = await w.here.tenant()
    await w.owner.query(`insert into memberships (tenant_id, user_id, role) values ($1, $2, 'viewer')`, [
      elsewhere.id,
      person.userId,
    ])
    const wrong = await second(person, { code: notOne })
    expect(wrong).toEqual([
      expect.objectContaining(entry(person, { kind: 'totp', at: 'sign-in', reason: 'wrong' })),
      expect.objectContaining(entry(person, { kind: 'totp', at: 'sign-in', reason: 'wrong' })),
    ])
    expect(new Set(wrong.map(({ tenant_id: id }) => id))).toEqual(new Set([person.tenantId, elsewhere.id]))
    expect((await second(person, { recoveryCode: wrongRecovery }))[0]?.details).toEqual({
      kind: 'recovery',
      at: 'sign-in',
      reason: 'wrong',
    })
    const [code = ''] = recoveryCodes
    await second(person, { recoveryCode: code }, 201)
    expect((await second(person, { recoveryCode: code }))[0]?.details).toMatchObject({ reason: 'wrong' })
    w.clock.ahead += 6 * minute
    const now = w.codeOf(secret)
    await second(person, { code: now }, 201)
    expect((await second(person, { code: now }))[0]?.details).toMatchObject({ kind: 'totp', reason: 'wrong' })
    const said = JSON.stringify(
      (await w.owner.query('select * from audit_entries where actor = $1', [person.userId])).rows,
    )
    for (const shown of [notOne, wrongRecovery, code, now, secret]) expect(said).not.toContain(shown)
  })

  it('is told from one that two have shown at once: the later one is noted as used', async () => {
    const { person, secret } = await w.withTotp()
    const tokens = [(await w.challengeOf(person)).token, (await w.challengeOf(person)).token]
    const code = w.codeOf(secret)
    const asked = tokens.map((token) => asking('/v1/sessions/factor', { token, code }))
    const statuses = await Promise.all(asked.map(async ({ answer }) => (await answer).status))
    expect(statuses.toSorted((a, b) => a - b)).toEqual([201, 401])
    const entries = (await Promise.all(asked.map(({ id }) => audited(w.owner, id)))).flat()
    const refusals = entries.filter(({ action }) => action === 'factor.refused')
    expect(refusals).toHaveLength(1)
    expect(['used', 'wrong']).toContain(refusals[0]?.details['reason'])
  })

  it('is noted by the database when it counts one too many, also when Redis has forgotten', async () => {
    const { userId } = await w.someone()
    const origin = { requestId: `req-${crypto.randomUUID()}`, address: '203.0.113.9' }
    const asker = { by: w.here.services.database, at: 'sign-in', origin } as const
    const tried: boolean[] = []
    for (let n = 0; n < 6; n++)
      tried.push((await tryCode(asker, userId, undefined, w.here.services.now())) !== undefined)
    expect(tried).toEqual([true, true, true, true, true, false])
    expect(await audited(w.owner, origin.requestId)).toMatchObject([
      {
        action: 'factor.refused',
        actor: userId,
        address: '203.0.113.9',
        details: { kind: 'code', at: 'sign-in', reason: 'too_many' },
      },
    ])
  })

  it('is noted of a passkey: signed for another site, by an old count, instead of a password', async () => {
    const person = await w.someone()
    const device = await authenticator(w.here.url)
    const made = await json<Options>(
      await person.fetch('/v1/me/factors/passkeys/options', { method: 'POST' }),
      200,
    )
    const passkey = await device.create(made, { count: 5 })
    await json(await person.fetch('/v1/me/factors/passkeys', { method: 'POST', body: { passkey } }), 201)
    const { token } = await w.challengeOf(person)
    const options = async () =>
      (
        await json<{ authentication: Options }>(
          await send(w.here, '/v1/sessions/factor/passkey/options', { body: { token } }),
          200,
        )
      ).authentication
    const foreign = await device.get(await options(), { origin: 'https://evil.example' })
    expect(await refused('/v1/sessions/factor', { token, passkey: foreign }, 401)).toEqual([
      expect.objectContaining(entry(person, { kind: 'passkey', at: 'sign-in', reason: 'wrong' })),
    ])
    const alone = await json<Options>(await send(w.here, '/v1/sessions/passkey/options'), 200)
    const elsewhere = await device.get(alone, { origin: 'https://evil.example', verified: true })
    expect(await refused('/v1/sessions/passkey', { passkey: elsewhere }, 401)).toEqual([
      expect.objectContaining(entry(person, { kind: 'passkey', at: 'sign-in', reason: 'wrong' })),
    ])
  })
})

describe('a proof of whose session it is', () => {
  it('is in the log of the session’s tenant, whichever way it went', async () => {
    const { person, secret } = await w.withTotp()
    const { person: plain } = { person: await w.someone() }
    const path = '/v1/me/step-up'
    expect(await refused(path, { code: notOne }, 403, person)).toEqual([
      expect.objectContaining(entry(person, { kind: 'totp', at: 'step-up', reason: 'wrong' })),
    ])
    expect(await refused(path, { password: person.password }, 403, person)).toEqual([
      expect.objectContaining(entry(person, { kind: 'password', at: 'step-up', reason: 'factor_needed' })),
    ])
    expect(await refused(path, { password: 'not this one' }, 403, plain)).toEqual([
      expect.objectContaining(entry(plain, { kind: 'password', at: 'step-up', reason: 'wrong' })),
    ])
    expect(await refused(path, { code: w.codeOf(secret) }, 200, person)).toEqual([
      expect.objectContaining({
        action: 'session.proved',
        actor: person.userId,
        details: { by: 'totp' },
      }),
    ])
  })

  it('is noted when a factor is set up with a code that is none', async () => {
    const person = await w.someone()
    await json(await person.fetch('/v1/me/factors/totp', { method: 'POST', body: {} }), 201)
    expect(await refused('/v1/me/factors/totp/confirm', { code: notOne }, 422, person)).toEqual([
      expect.objectContaining(entry(person, { kind: 'totp', at: 'enrolment', reason: 'wrong' })),
    ])
  })
})
