import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { newId } from '#src/domain/id.ts'
import { samlPlace } from '#src/domain/saml.ts'
import { browser, type Browser } from '#test/support/browser.ts'
import { certificate } from '#test/support/certificate.ts'
import {
  assertionText,
  base64,
  responseText,
  right,
  signatureOf,
  withSignature,
} from '#test/support/saml-forger.ts'
import { postForm, samlIdp, type SamlForm, type SamlUser } from '#test/support/saml-provider.ts'
import { ssoWorld, type SsoWorld } from '#test/support/sso.ts'
import type { Tenant } from '#test/support/world.ts'

type Company = Tenant & { domain: string; providerId: string; spMetadata: string }

const idp = samlIdp()
let here: SsoWorld
let acme: Company
let globex: Company
let owner: pg.Client

beforeAll(async () => {
  here = await ssoWorld()
  ;[acme, globex] = await Promise.all([company(), company()])
  owner = new pg.Client({ connectionString: inject('ownerUrl') })
  await owner.connect()
})
afterAll(async () => {
  await owner.end()
  await here.close()
})

const given = {
  kind: 'saml',
  metadata: idp.metadata,
  emailAttribute: 'mail',
  nameAttribute: 'displayName',
  groupsAttribute: 'groups',
  defaultRole: 'viewer',
  roleMap: [{ group: 'builders', role: 'developer' }],
}

async function company(more: Record<string, unknown> = {}): Promise<Company> {
  const tenant = await here.company()
  const providerId = await here.provider(tenant, { ...given, ...more })
  const spMetadata = await (await fetch(`${here.url}/v1/sso/providers/${providerId}/metadata`)).text()
  return { ...tenant, providerId, spMetadata }
}

const someone = (domain: string, more: Partial<SamlUser> = {}): SamlUser => ({
  id: crypto.randomUUID(),
  email: `${crypto.randomUUID()}@${domain}`,
  ...more,
})

/** As far as the provider's page with its form. */
async function begin(at: Company, user: SamlUser, from = idp, who?: Browser) {
  const begun = await here.begin({ providerId: at.providerId, returnTo: '/runs' }, who)
  return { who: begun.who, url: begun.url, form: await from.answer(begun.url, at.spMetadata, user) }
}
const whereTo = (answer: Response) => `${answer.status} ${answer.headers.get('location')}`
/** Posts the form, follows with the browser that is given, and says where that ends. */
async function end(who: Browser, form: SamlForm): Promise<string> {
  const answer = await postForm(form)
  const location = answer.headers.get('location') ?? ''
  if (!location.startsWith('/v1/sso/callback?')) return whereTo(answer)
  return `303 ${await here.finish(who, `${here.url}${location}`)}`
}
async function refusals(tenant: Tenant): Promise<string[]> {
  const answer = await tenant.fetch('/v1/audit?action=sso.refused&limit=5')
  const { items } = (await answer.json()) as { items: { details: { reason: string } }[] }
  return items.map(({ details }) => details.reason)
}

describe('signing in with a real provider of SAML', () => {
  it('makes a member at the first sign-in, found by the domain, with role and name, where they wanted to go', async () => {
    const ada = someone(acme.domain, { name: 'Ada & Co', group: 'builders' })
    const { url, who } = await here.begin({ email: ada.email, returnTo: '/runs?state=failed' })
    expect(await end(who, await idp.answer(url, acme.spMetadata, ada))).toBe('303 /runs?state=failed')
    const me = await here.me(who)
    expect(me).toMatchObject({
      status: 200,
      tenant: { id: acme.id },
      user: { email: ada.email, role: 'developer' },
    })
    const { rows } = await owner.query<{ name: string; issuer: string }>(
      `select s.display_name as name, i.issuer from scim_users s join sso_identities i on i.user_id = s.user_id where s.user_id = $1`,
      [me.user?.id],
    )
    expect(rows).toEqual([{ name: 'Ada & Co', issuer: `saml:${idp.entityId}` }])
    const sessions = await who.get(`${here.url}/v1/sessions`)
    expect(await sessions.text()).toContain('"mfa"')
  })

  it('knows the same person again by the name id, also under another address', async () => {
    const ada = someone(acme.domain)
    const first = await begin(acme, ada)
    expect(await end(first.who, first.form)).toBe('303 /runs')
    const second = await begin(acme, { ...ada, email: `married@${acme.domain}` })
    expect(await end(second.who, second.form)).toBe('303 /runs')
    expect((await here.me(second.who)).user).toEqual((await here.me(first.who)).user)
    const third = await begin(acme, { id: crypto.randomUUID(), email: ada.email })
    expect(await end(third.who, third.form)).toBe('303 /sign-in#sso=not_allowed')
  })

  it('works with a provider that signs its response, too', async () => {
    const thorough = samlIdp(true)
    const at = await company({ metadata: thorough.metadata })
    const { who, form } = await begin(at, someone(at.domain), thorough)
    expect(await end(who, form)).toBe('303 /runs')
  })

  it('believes a provider about its tenant’s domains alone', async () => {
    const { who, form } = await begin(acme, someone(globex.domain))
    expect(await end(who, form)).toBe('303 /sign-in#sso=not_allowed')
    expect((await refusals(acme))[0]).toBe('domain_not_owned')
    expect((await here.me(who)).status).toBe(401)
  })
})

describe('the form that a provider makes the browser post', () => {
  it('signs nobody in by itself, whoever posts it: the browser that began must come', async () => {
    const { who, form } = await begin(acme, someone(acme.domain))
    const answer = await postForm(form)
    expect(answer.status).toBe(303)
    expect(answer.headers.getSetCookie()).toEqual([])
    const back = `${here.url}${answer.headers.get('location')}`
    expect(await here.finish(browser(), back)).toBe('/sign-in#sso=expired')
    const victim = await here.begin({ providerId: acme.providerId })
    expect(await here.finish(victim.who, back)).toBe('/sign-in#sso=expired')
    expect((await here.me(victim.who)).status).toBe(401)
    expect(await here.finish(who, back)).toBe('/runs')
    expect(await here.finish(who, back)).toBe('/sign-in#sso=expired')
  })

  it('lets nobody in who had somebody else post it: whoever began must have posted it, too', async () => {
    const victim = someone(acme.domain)
    const { who: thief, form } = await begin(acme, victim)
    const answer = await postForm(form)
    const back = new URL(answer.headers.get('location') ?? '', here.url)
    const known = `${here.redirectUri}?state=${form.fields.RelayState}`
    expect(await here.finish(thief, known)).toBe('/sign-in#sso=expired')
    expect(await here.finish(thief, `${known}&answer=${'A'.repeat(43)}`)).toBe('/sign-in#sso=expired')
    expect((await here.me(thief)).status).toBe(401)
    expect(await here.finish(browser(), back.href)).toBe('/sign-in#sso=expired')
    expect(back.searchParams.get('answer')).toMatch(/^[\w-]{43}$/)
  })

  it('is taken once: not again, not after the sign-in, and not for another one', async () => {
    const ada = someone(acme.domain)
    const { who, form } = await begin(acme, ada)
    const [kept, again] = [await postForm(form), await postForm(form)]
    expect(whereTo(again)).toBe('303 /sign-in#sso=expired')
    expect(await here.finish(who, `${here.url}${kept.headers.get('location')}`)).toBe('/runs')
    expect(await end(who, form)).toBe('303 /sign-in#sso=expired')
    const next = await begin(acme, ada)
    const stolen = { ...next.form, fields: { ...next.form.fields, SAMLResponse: form.fields.SAMLResponse } }
    expect(await end(next.who, stolen)).toBe('303 /sign-in#sso=failed')
    expect((await refusals(acme))[0]).toBe('other_request')
  })

  it('is taken once of many that come at once', async () => {
    const { who, form } = await begin(acme, someone(acme.domain))
    const answers = await Promise.all(Array.from({ length: 8 }, () => postForm(form)))
    const ways = answers.map((answer) => answer.headers.get('location') ?? '')
    const kept = ways.filter((way) => way.startsWith('/v1/sso/callback?'))
    expect(kept).toHaveLength(1)
    expect(ways.filter((way) => way === '/sign-in#sso=expired')).toHaveLength(7)
    expect(await here.finish(who, `${here.url}${kept[0]}`)).toBe('/runs')
  })

  it('is for nobody any more when the browser has come back before it', async () => {
    const { who, form, url } = await begin(acme, someone(acme.domain))
    const state = new URL(url).searchParams.get('RelayState') ?? ''
    expect(await here.finish(who, `${here.redirectUri}?state=${state}`)).toBe('/sign-in#sso=expired')
    expect(await end(who, form)).toBe('303 /sign-in#sso=expired')
  })

  it('leaves nothing in the database that says who it was, and that for a minute', async () => {
    const ada = someone(acme.domain)
    const { form } = await begin(acme, ada)
    const kept = await postForm(form)
    expect(kept.status).toBe(303)
    const { rows } = await owner.query<{ kept: string; lasts: number }>(
      `select to_jsonb(a)::text as kept, extract(epoch from expires_at - now())::int as lasts from sso_attempts a
       where tenant_id = $1 and answer is not null`,
      [acme.id],
    )
    const [one] = rows.slice(-1)
    expect(one?.lasts).toBeLessThanOrEqual(60)
    const told = new URL(`${here.url}${kept.headers.get('location')}`).searchParams.get('answer')
    for (const secret of [ada.email, ada.id, form.fields.RelayState, told])
      expect(one?.kept).not.toContain(secret)
  })

  it('is refused at another tenant’s provider, though it is the same server of the provider’s', async () => {
    const ada = someone(globex.domain)
    const { who, form } = await begin(acme, ada)
    const elsewhere = samlPlace(here.url, globex.providerId).acsUrl
    expect(await end(who, { ...form, acs: elsewhere })).toBe('303 /sign-in#sso=expired')
    const there = await begin(globex, ada)
    const crossed = {
      acs: elsewhere,
      fields: { ...there.form.fields, SAMLResponse: form.fields.SAMLResponse },
    }
    expect(await end(there.who, crossed)).toBe('303 /sign-in#sso=failed')
    expect((await refusals(globex))[0]).toBe('destination_wrong')
  })

  it('does nothing for a sign-in of OpenID Connect, and a callback of that nothing for SAML', async () => {
    const oidc = await here.provider(acme, {
      issuer: 'http://127.0.0.1:9',
      clientId: 'x',
      clientAuth: 'none',
    })
    const { form } = await begin(acme, someone(acme.domain))
    const acs = samlPlace(here.url, oidc).acsUrl
    expect(whereTo(await postForm({ ...form, acs }))).toBe('303 /sign-in#sso=expired')
  })

  it.each<[string, (form: SamlForm) => Record<string, string>]>([
    ['without a state', ({ fields }) => ({ SAMLResponse: fields.SAMLResponse })],
    [
      'with the page that the provider would go to',
      ({ fields }) => ({ ...fields, RelayState: 'https://weir.example.com/' }),
    ],
  ])('is refused with words when a provider’s own page began: %s', async (_, fields) => {
    const { form } = await begin(acme, someone(acme.domain))
    expect(whereTo(await postForm(form, fields(form)))).toBe('303 /sign-in#sso=begin_here')
  })

  it('says in the tenant’s log what was wrong with it, and spends the sign-in', async () => {
    const ada = someone(acme.domain)
    const place = samlPlace(here.url, acme.providerId)
    const forged = (key: ReturnType<typeof certificate>, inResponseTo: string | undefined) => {
      const said = right({ ...place, requestId: '_x', issuer: idp.entityId }, ada.email)
      const text = assertionText({ ...said, inResponseTo })
      return base64(
        responseText(withSignature(text, signatureOf(text, said.id, { key: key.privateKey })), {
          inResponseTo,
        }),
      )
    }
    const { who, form, url } = await begin(acme, ada)
    const request = / ID="(_[0-9a-f]{40})"/.exec(await asked(url))?.[1]
    const other = { ...form, fields: { ...form.fields, SAMLResponse: forged(certificate('other'), request) } }
    expect(await end(who, other)).toBe('303 /sign-in#sso=failed')
    expect((await refusals(acme))[0]).toBe('signature_wrong')
    expect(await end(who, form)).toBe('303 /sign-in#sso=expired')
    const next = await begin(acme, ada)
    const unasked = {
      ...next.form,
      fields: { ...next.form.fields, SAMLResponse: forged(idp.keys, undefined) },
    }
    expect(await end(next.who, unasked)).toBe('303 /sign-in#sso=begin_here')
    expect((await refusals(acme))[0]).toBe('unsolicited')
  })

  it('must be a form, with one answer in it', async () => {
    const { form } = await begin(acme, someone(acme.domain))
    const json = await fetch(form.acs, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: '{}',
    })
    expect(json.status).toBe(415)
    expect(whereTo(await postForm(form, { RelayState: form.fields.RelayState }))).toBe(
      '303 /sign-in#sso=failed',
    )
    const twice = `${new URLSearchParams(form.fields).toString()}&SAMLResponse=x`
    const headers = { 'Content-Type': 'application/x-www-form-urlencoded' }
    const answer = await fetch(form.acs, { method: 'POST', headers, body: twice, redirect: 'manual' })
    expect(whereTo(answer)).toBe('303 /sign-in#sso=failed')
  })

  it('is the only thing that another site’s page may post here', async () => {
    const headers = {
      'Content-Type': 'application/json',
      Origin: 'https://idp.example.com',
      'Sec-Fetch-Site': 'cross-site',
    }
    for (const path of ['/v1/sso/start', '/v1/sessions', `/v1/sso/providers/${acme.providerId}/check`]) {
      const answer = await fetch(`${here.url}${path}`, { method: 'POST', headers, body: '{}' })
      expect(answer.status).toBe(403)
    }
  })
})

describe('what a provider of SAML is told of us', () => {
  it('names one audience and one address for each provider', async () => {
    const place = samlPlace(here.url, acme.providerId)
    const answer = await fetch(place.entityId)
    expect(answer.headers.get('content-type')).toBe('application/samlmetadata+xml; charset=utf-8')
    const text = await answer.text()
    expect(text).toContain(`entityID="${place.entityId}"`)
    expect(text).toContain(`Location="${place.acsUrl}"`)
    expect(text).toContain('WantAssertionsSigned="true"')
    expect(samlPlace(here.url, globex.providerId)).not.toEqual(place)
  })

  it('is nothing where there is no provider of SAML', async () => {
    const oidc = await here.provider(acme, {
      issuer: 'http://127.0.0.1:9',
      clientId: 'x',
      clientAuth: 'none',
    })
    for (const one of [oidc, newId('ssoProvider'), 'x'])
      expect((await fetch(`${here.url}/v1/sso/providers/${one}/metadata`)).status).toBe(404)
  })
})

/** The request in an address, as the provider reads it. */
async function asked(url: string): Promise<string> {
  const packed = Buffer.from(new URL(url).searchParams.get('SAMLRequest') ?? '', 'base64')
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate-raw'))
  return new Response(stream).text()
}
