import { describe, expect, it } from 'vitest'
import { fileFactorWorld, minute } from '#test/support/factors.ts'
import type { Person } from '#test/support/member.ts'
import { json } from '#test/support/pipeline.ts'

const w = await fileFactorWorld()

describe('one-time codes', () => {
  it('are set up with a secret that is told once and kept sealed', async () => {
    const person = await w.someone()
    w.logged.length = 0
    const begun = await person.fetch('/v1/me/factors/totp', { method: 'POST', body: { name: 'My phone' } })
    expect(begun.status).toBe(201)
    const { id, secret, uri } = (await begun.json()) as { id: string; secret: string; uri: string }
    expect(secret).toMatch(/^[A-Z2-7]{32}$/)
    expect(uri).toContain(`secret=${secret}`)
    const before = await json<{ items: unknown[] }>(await person.fetch('/v1/me/factors'), 200)
    expect(before.items).toEqual([])

    const confirmed = await person.fetch('/v1/me/factors/totp/confirm', {
      method: 'POST',
      body: { code: w.codeOf(secret) },
    })
    const text = await confirmed.text()
    expect(confirmed.status, text).toBe(200)
    expect((JSON.parse(text) as { recoveryCodes: string[] }).recoveryCodes).toHaveLength(10)
    const listed = await (await person.fetch('/v1/me/factors')).text()
    expect(JSON.parse(listed)).toMatchObject({
      items: [{ id, kind: 'totp', name: 'My phone' }],
      recoveryCodes: 10,
      required: false,
    })
    const { rows } = await w.owner.query<{ secret: string }>('select secret from factors where id = $1', [id])
    expect(rows[0]?.secret).toMatch(/^v1\./)
    for (const place of [text, listed, JSON.stringify(w.logged), JSON.stringify(rows)])
      expect(place).not.toContain(secret)
    expect(w.logged.length).toBeGreaterThan(3)
  })

  it('must be confirmed with a right code, by the session that began them', async () => {
    const person = await w.someone()
    const { secret } = await json<{ secret: string }>(
      await person.fetch('/v1/me/factors/totp', { method: 'POST', body: {} }),
      201,
    )
    const confirm = (one: Person, code: string) =>
      one.fetch('/v1/me/factors/totp/confirm', { method: 'POST', body: { code } })
    expect((await confirm(person, w.codeOf(secret, 5))).status).toBe(422)
    const other = await w.back(person, await w.passwordStep(person))
    expect((await confirm(other, w.codeOf(secret))).status).toBe(422)
    w.clock.ahead = 10 * minute - 5_000
    const again = await w.back(person, await w.passwordStep(person))
    w.clock.ahead = 10 * minute + 5_000
    expect((await confirm(again, w.codeOf(secret))).status).toBe(422)
    expect((await json<{ items: [] }>(await again.fetch('/v1/me/factors'), 200)).items).toEqual([])
  })

  it('are asked for by the sign-in, and each opens one session', async () => {
    const { person, secret } = await w.withTotp()
    const challenge = await w.challengeOf(person)
    expect(challenge).toMatchObject({ factors: ['totp', 'recovery'], enrol: false })
    const code = w.codeOf(secret)
    const back = await w.back(person, await w.finish({ token: challenge.token, code }))
    const { items } = await json<{ items: { current: boolean; amr: string[] }[] }>(
      await back.fetch('/v1/sessions'),
      200,
    )
    expect(items.find(({ current }) => current)?.amr).toEqual(['pwd', 'otp'])

    expect((await w.finish({ token: challenge.token, code: w.codeOf(secret, 1) })).status).toBe(401)
    const second = await w.challengeOf(person)
    expect((await w.finish({ token: second.token, code })).status).toBe(401)
    expect((await w.finish({ token: second.token, code: w.codeOf(secret, -1) })).status).toBe(401)
    expect((await w.finish({ token: second.token, code: w.codeOf(secret, 1) })).status).toBe(201)
  })

  it('are good one step early and one late, and no more', async () => {
    const { person, secret } = await w.withTotp()
    const { token } = await w.challengeOf(person)
    expect((await w.finish({ token, code: w.codeOf(secret, -2) })).status).toBe(401)
    expect((await w.finish({ token, code: w.codeOf(secret, 2) })).status).toBe(401)
    expect((await w.finish({ token, code: w.codeOf(secret, -1) })).status).toBe(201)
  })

  it('let one of two through that come with the same code, or with the same token', async () => {
    const { person, secret } = await w.withTotp()
    const [one, two] = [await w.challengeOf(person), await w.challengeOf(person)]
    const same = await Promise.all([one, two].map(({ token }) => w.finish({ token, code: w.codeOf(secret) })))
    expect(same.map(({ status }) => status).sort((a, b) => a - b)).toEqual([201, 401])
    const { token } = await w.challengeOf(person)
    w.clock.ahead += minute
    const codes = [w.codeOf(secret, -1), w.codeOf(secret)]
    const both = await Promise.all(codes.map((code) => w.finish({ token, code })))
    expect(both.map(({ status }) => status).sort((a, b) => a - b)).toEqual([201, 401])
  })

  it('may be tried five times in five minutes, the right one included', async () => {
    const { person, secret } = await w.withTotp()
    w.clock.ahead += 10 * minute
    const { token } = await w.challengeOf(person)
    const wrong = w.codeOf(secret, 40)
    for (let i = 0; i < 5; i++) expect((await w.finish({ token, code: wrong })).status).toBe(401)
    const sixth = await w.finish({ token, code: w.codeOf(secret) })
    expect(sixth.status).toBe(429)
    expect(Number(sixth.headers.get('retry-after'))).toBeGreaterThan(0)
    // The database remembers what Redis has forgotten.
    const kept = await w.here.services.cache.keys(`public:factor:${person.userId}:*`)
    expect(kept.length).toBeGreaterThan(0)
    await w.here.services.cache.del(...kept)
    expect((await w.finish({ token, code: w.codeOf(secret) })).status).toBe(429)
    expect((await w.finish({ token, recoveryCode: 'AAAA-AAAA-AAAA-AAAA' })).status).toBe(429)
    w.clock.ahead += 11 * minute
    const later = await w.challengeOf(person)
    expect((await w.finish({ token: later.token, code: w.codeOf(secret) })).status).toBe(201)
  })

  it('are refused while Redis, which counts them, does not answer', async () => {
    const { person, secret } = await w.withTotp()
    const { token } = await w.challengeOf(person)
    const { finishSignIn } = await import('#src/actions/factor-sign-in.ts')
    const cache = Object.assign(Object.create(w.here.services.cache), {
      evalsha: () => Promise.reject(new Error('gone')),
    }) as typeof w.here.services.cache
    const withoutRedis = { ...w.here.services, cache }
    const code = w.codeOf(secret)
    await expect(finishSignIn(withoutRedis, { token, shown: { code } }, {})).rejects.toMatchObject({
      code: 'unavailable',
    })
    expect((await w.finish({ token, code })).status).toBe(201)
  })

  it('need the token of their own sign-in, for ten minutes', async () => {
    const [ada, bob] = [await w.withTotp(), await w.withTotp()]
    const { token } = await w.challengeOf(ada.person)
    expect((await w.finish({ token, code: w.codeOf(bob.secret) })).status).toBe(401)
    expect((await w.finish({ token: `${token}x`, code: w.codeOf(ada.secret) })).status).toBe(401)
    w.clock.ahead += 10 * minute
    expect((await w.finish({ token, code: w.codeOf(ada.secret) })).status).toBe(401)
  })
})

describe('recovery codes', () => {
  it('open one session each, tell by mail, and are renewed all together', async () => {
    const { person, recoveryCodes } = await w.withTotp()
    const [first = '', second = '', third = ''] = recoveryCodes
    const once = await w.challengeOf(person)
    const back = await w.back(
      person,
      await w.finish({ token: once.token, recoveryCode: first.toLowerCase() }),
    )
    const again = await w.challengeOf(person)
    expect((await w.finish({ token: again.token, recoveryCode: first })).status).toBe(401)
    expect(await json(await back.fetch('/v1/me/factors'), 200)).toMatchObject({ recoveryCodes: 9 })
    expect((await w.here.mails(person.email)).map(({ subject }) => subject)).toContain(
      'A recovery code was used',
    )

    const stepUp = await back.fetch('/v1/me/step-up', { method: 'POST', body: { recoveryCode: second } })
    expect(stepUp.status).toBe(200)
    const renewed = await json<{ recoveryCodes: string[] }>(
      await back.fetch('/v1/me/factors/recovery-codes', { method: 'POST' }),
      201,
    )
    expect(renewed.recoveryCodes).toHaveLength(10)
    w.clock.ahead += 6 * minute
    expect((await w.finish({ token: again.token, recoveryCode: third })).status).toBe(401)
    const { rows } = await w.owner.query('select code_hash from recovery_codes where user_id = $1', [
      person.userId,
    ])
    expect(rows).toHaveLength(10)
    for (const code of renewed.recoveryCodes) expect(JSON.stringify(rows)).not.toContain(code)
    expect((await w.finish({ token: again.token, recoveryCode: renewed.recoveryCodes[0] })).status).toBe(201)
  })

  it('let one of two through that come with the same one', async () => {
    const { person, recoveryCodes } = await w.withTotp()
    const tokens = [(await w.challengeOf(person)).token, (await w.challengeOf(person)).token]
    const both = await Promise.all(tokens.map((token) => w.finish({ token, recoveryCode: recoveryCodes[0] })))
    expect(both.map(({ status }) => status).sort((a, b) => a - b)).toEqual([201, 401])
  })
})

describe('a fresh proof', () => {
  const begin = (person: Person) => person.fetch('/v1/me/factors/totp', { method: 'POST', body: {} })
  const prove = (person: Person, body: unknown) => person.fetch('/v1/me/step-up', { method: 'POST', body })

  it('is asked of a session that is older than ten minutes, and is the password where there is no factor', async () => {
    const person = await w.someone()
    await w.owner.query(`update sessions set created_at = now() - interval '11 minutes' where user_id = $1`, [
      person.userId,
    ])
    expect((await begin(person)).status).toBe(403)
    expect((await prove(person, { password: 'wrong horse battery' })).status).toBe(403)
    expect((await begin(person)).status).toBe(403)
    expect((await prove(person, { password: person.password })).status).toBe(200)
    expect((await begin(person)).status).toBe(201)
    await w.owner.query(
      `update session_proofs set proved_at = now() - interval '11 minutes' where user_id = $1`,
      [person.userId],
    )
    expect((await begin(person)).status).toBe(403)
  })

  it('is a factor where there is one, and proves one session alone', async () => {
    const { person, secret } = await w.withTotp()
    await w.owner.query(`update sessions set created_at = now() - interval '20 minutes' where user_id = $1`, [
      person.userId,
    ])
    const { token } = await w.challengeOf(person)
    const other = await w.back(person, await w.finish({ token, code: w.codeOf(secret) }))
    await w.owner.query(`update sessions set created_at = now() - interval '20 minutes' where user_id = $1`, [
      person.userId,
    ])
    expect((await prove(person, { password: person.password })).status).toBe(403)
    expect((await prove(person, { code: w.codeOf(secret) })).status).toBe(403)
    expect((await prove(person, { code: w.codeOf(secret, 1) })).status).toBe(200)
    expect((await begin(person)).status).toBe(201)
    expect((await begin(other)).status).toBe(403)
  })

  it('has five tries as well', async () => {
    const person = await w.someone()
    for (let i = 0; i < 5; i++) expect((await prove(person, { password: 'wrong horse' })).status).toBe(403)
    expect((await prove(person, { password: person.password })).status).toBe(429)
  })
})
