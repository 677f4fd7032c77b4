import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { lookAfterDomains } from '#src/actions/sso/domain-looks.ts'
import { tick } from '#src/actions/tick.ts'
import { browser } from '#test/support/browser.ts'
import { clientSecret, identityProvider, type IdentityProvider } from '#test/support/identity-provider.ts'
import { member } from '#test/support/member.ts'
import { ownDatabase, type OwnDatabase } from '#test/support/own-database.ts'
import { json } from '#test/support/pipeline.ts'
import { ssoWorld, type SsoWorld } from '#test/support/sso.ts'
import { until } from '#test/support/until.ts'

type Company = Awaited<ReturnType<SsoWorld['company']>>

let here: SsoWorld
let idp: IdentityProvider
// Where no other test's tick looks.
let database: OwnDatabase
let db: pg.Client
beforeAll(async () => {
  database = await ownDatabase()
  db = database.owner
  here = await ssoWorld({ DATABASE_URL: database.url })
  idp = await identityProvider(here.redirectUri)
})
afterAll(async () => {
  await idp.close()
  await here.close()
  await database.leave()
})

/** The clock goes forward for one domain: all that is kept of it is so much longer ago. */
const later = (domain: string, by: string) =>
  db.query(
    `update sso_domains set next_look_at = next_look_at - $2::interval, missing_since = missing_since - $2::interval,
       looked_at = looked_at - $2::interval, verified_at = verified_at - $2::interval where domain = $1`,
    [domain, by],
  )
const aDay = '28 hours'
const look = () => lookAfterDomains(here.services)
const aDayAndALook = async (domain: string) => {
  await later(domain, aDay)
  await look()
}

type DomainJson = { verified: boolean; missingSince?: string; lostAt?: string; lookedAt?: string }
const read = async (company: Company) =>
  json<DomainJson>(await company.fetch(`/v1/sso/domains/${company.domain}`), 200)
const noted = async (company: Company) => {
  const { items } = await json<{ items: { action: string; details: object }[] }>(
    await company.fetch('/v1/audit?target=' + company.domain),
    200,
  )
  return items
    .map(({ action }) => action)
    .filter((action) => /missing|lost|back/.test(action))
    .toReversed()
}
const subjects = async (email: string) =>
  (await here.mails(email)).map(({ subject }) => subject).filter((one) => /record|proved/.test(one))
const mailed = (email: string, subject: string) =>
  until(`a mail "${subject}"`, async () => (await subjects(email)).includes(subject))

const provider = { clientId: 'basic', clientSecret, defaultRole: 'viewer' }
/** Somebody of the domain's goes through the provider; where they end up. */
async function arrive(company: Company, providerId: string, login: string = crypto.randomUUID()) {
  idp.people.set(login, { email: `${login}@${company.domain}`, email_verified: true })
  const who = browser()
  const { url } = await here.begin({ providerId }, who)
  return here.finish(who, await idp.signIn(who, url, login))
}

/** The record is away for a week of daily looks. */
async function loseIt(company: Company) {
  here.dns.txt.delete(company.domain)
  for (let day = 0; day < 8; day++) await aDayAndALook(company.domain)
}

describe('a proved domain', () => {
  it('is looked at again about a day later, each at a time of its own, and not before', async () => {
    const companies = await Promise.all(Array.from({ length: 5 }, () => here.company()))
    const { rows } = await db.query<{ hours: number }>(
      `select extract(epoch from next_look_at - now())::float8 / 3600 as hours from sso_domains where verified_at is not null`,
    )
    expect(rows).toHaveLength(5)
    const hours = rows.map((row) => row.hours)
    expect(Math.min(...hours)).toBeGreaterThan(19.9)
    expect(Math.max(...hours)).toBeLessThan(28.1)
    expect(new Set(hours.map((one) => one.toFixed(3))).size).toBe(5)
    const before = here.dns.asked.length
    await look()
    expect(here.dns.asked).toHaveLength(before)
    const [one] = companies
    if (!one) throw new Error('no company')
    await aDayAndALook(one.domain)
    expect(here.dns.asked.slice(before)).toEqual([one.domain])
    expect(await read(one)).toMatchObject({ verified: true, lookedAt: expect.any(String) })
    expect(await noted(one)).toEqual([])
  })

  it('whose record is gone is told of once, to those who can mend it, and is proved meanwhile', async () => {
    const acme = await here.company()
    const providerId = await here.provider(acme, { issuer: idp.issuer, ...provider })
    const [admin, viewer] = [await member(here, db, acme, 'admin'), await member(here, db, acme, 'viewer')]
    here.dns.txt.set(acme.domain, ['"v=spf1 -all"'])
    for (let day = 0; day < 3; day++) await aDayAndALook(acme.domain)
    const subject = `The record that proves ${acme.domain} is missing`
    for (const { email } of [acme, admin]) {
      await mailed(email, subject)
      expect(await subjects(email)).toEqual([subject])
    }
    expect(await subjects(viewer.email)).toEqual([])
    expect((await here.mails(acme.email)).findLast((mail) => mail.subject === subject)?.text).toContain(
      'weir-verification=',
    )
    expect(await read(acme)).toMatchObject({ verified: true, missingSince: expect.any(String) })
    expect(await noted(acme)).toEqual(['sso-domain.missing'])
    expect(await arrive(acme, providerId)).toBe('/')
  })

  it('whose record comes back begins anew', async () => {
    const acme = await here.company()
    const record = here.dns.txt.get(acme.domain) ?? []
    here.dns.txt.delete(acme.domain)
    for (let day = 0; day < 5; day++) await aDayAndALook(acme.domain)
    here.dns.txt.set(acme.domain, record)
    await aDayAndALook(acme.domain)
    expect(await noted(acme)).toEqual(['sso-domain.missing', 'sso-domain.back'])
    here.dns.txt.delete(acme.domain)
    for (let day = 0; day < 5; day++) await aDayAndALook(acme.domain)
    expect(await read(acme)).toMatchObject({ verified: true })
    expect(await noted(acme)).toEqual(['sso-domain.missing', 'sso-domain.back', 'sso-domain.missing'])
  })

  it.each([
    ['has a failure of its own', 2],
    ['refuses', 5],
    ['is away', 600],
  ])('stays proved for as long as the resolver %s, and is asked for again in an hour', async (_, failure) => {
    const acme = await here.company()
    here.dns.failing.set(acme.domain, failure)
    for (let day = 0; day < 10; day++) await aDayAndALook(acme.domain)
    const { rows } = await db.query(
      `select misses, missing_since, next_look_at < now() + interval '61 minutes' as soon from sso_domains where domain = $1`,
      [acme.domain],
    )
    expect(rows).toEqual([{ misses: 0, missing_since: null, soon: true }])
    expect(await read(acme)).toMatchObject({ verified: true })
    expect(await noted(acme)).toEqual([])
  })

  it('is not lost by time alone: it takes several looks', async () => {
    const acme = await here.company()
    here.dns.txt.delete(acme.domain)
    await aDayAndALook(acme.domain)
    await later(acme.domain, '20 days')
    await look()
    expect(await read(acme)).toMatchObject({ verified: true })
    for (let day = 0; day < 2; day++) await aDayAndALook(acme.domain)
    expect(await read(acme)).toMatchObject({ verified: false, lostAt: expect.any(String) })
  })
})

describe('a domain whose record was gone for a week', () => {
  it('is not proved any more: told, noted, and nobody comes in over it', async () => {
    const acme = await here.company()
    const providerId = await here.provider(acme, { issuer: idp.issuer, ...provider })
    const login = crypto.randomUUID()
    expect(await arrive(acme, providerId, login)).toBe('/')
    await loseIt(acme)
    expect(await read(acme)).toMatchObject({ verified: false, lostAt: expect.any(String) })
    expect(await noted(acme)).toEqual(['sso-domain.missing', 'sso-domain.lost'])
    await mailed(acme.email, `${acme.domain} is not proved any more`)

    expect(await arrive(acme, providerId)).toBe('/sign-in#sso=not_allowed')
    // Whoever has the domain now may not be whom this tenant's provider vouched for.
    expect(await arrive(acme, providerId, login)).toBe('/sign-in#sso=not_allowed')
    const started = await browser().post(
      `${here.url}/v1/sso/start`,
      JSON.stringify({ email: `new@${acme.domain}` }),
      'application/json',
    )
    expect(started.status).toBe(404)
    const provisioned = await acme.fetch('/scim/v2/Users', {
      method: 'POST',
      headers: { 'Content-Type': 'application/scim+json' },
      body: JSON.stringify({
        schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'],
        userName: `new@${acme.domain}`,
      }),
    })
    expect(provisioned.status).toBe(400)
    expect(await provisioned.text()).toContain('domain')
  })

  it('does not lock its tenant out: where it was the last one, other ways in are open again', async () => {
    const [acme, globex] = [await here.company(), await here.company()]
    for (const company of [acme, globex]) {
      await here.provider(company, { issuer: idp.issuer, ...provider })
      const asked = await company.fetch('/v1/sso/policy', { method: 'PUT', body: { requireSso: true } })
      expect(asked.status).toBe(200)
    }
    const other = `other-${globex.domain}`
    expect((await here.prove(globex, other)).status).toBe(200)
    await Promise.all([loseIt(acme), loseIt(globex)])
    const wantsSso = async (company: Company) =>
      (await json<{ requireSso: boolean }>(await company.fetch('/v1/tenant'), 200)).requireSso
    expect([await wantsSso(acme), await wantsSso(globex)]).toEqual([false, true])
    const entered = await browser().post(
      `${here.url}/v1/sessions`,
      JSON.stringify({ email: acme.email, password: acme.password }),
      'application/json',
    )
    expect(entered.status).toBe(201)
  })

  it('can be proved again, by this tenant or by another', async () => {
    const [acme, globex] = [await here.company(), await here.company()]
    await Promise.all([loseIt(acme), loseIt(globex)])
    expect((await here.prove(acme, acme.domain)).status).toBe(200)
    const again = await read(acme)
    expect(again).toMatchObject({ verified: true })
    expect(again).not.toHaveProperty('missingSince')
    expect(again).not.toHaveProperty('lostAt')
    expect((await here.prove(acme, globex.domain)).status).toBe(200)
    expect((await here.prove(globex, globex.domain)).status).toBe(409)
  })
})

describe('the tick', () => {
  it('looks at thirty domains a turn, each once however many tick, and goes on with the others', async () => {
    const acme = await here.company()
    await db.query(`update sso_domains set next_look_at = now() + interval '1 day'`)
    await db.query(
      `insert into sso_domains (tenant_id, domain, token, verified_at, next_look_at)
       select $1, 'n' || n || '.' || $2, 'x', now(), now() - interval '1 hour' from generate_series(1, 75) n`,
      [acme.id, acme.domain],
    )
    const before = here.dns.asked.length
    await Promise.all([look(), look()])
    const asked = here.dns.asked.slice(before)
    expect(asked).toHaveLength(60)
    expect(new Set(asked).size).toBe(60)
    await tick(here.services)
    expect(new Set(here.dns.asked.slice(before)).size).toBe(75)
    await look()
    expect(here.dns.asked).toHaveLength(before + 75)
  })

  it('does not look at what a tenant that is to end has proved', async () => {
    const acme = await here.company()
    await later(acme.domain, aDay)
    await db.query(`update tenants set deletes_at = now() + interval '1 day' where tenant_id = $1`, [acme.id])
    const before = here.dns.asked.length
    await look()
    expect(here.dns.asked).toHaveLength(before)
  })
})
