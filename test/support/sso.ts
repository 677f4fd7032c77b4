import { inject } from 'vitest'
import { browser, type Browser } from './browser.ts'
import { dns, type Dns } from './dns.ts'
import { world, type Tenant, type World } from './world.ts'

/** What single sign-on needs of a place where Weir runs, in this process or built and elsewhere. */
export type SsoPlace = {
  redirectUri: string
  /** A tenant with a domain of its own, proved. */
  company(): Promise<Tenant & { domain: string }>
  prove(tenant: Tenant, domain: string): Promise<Response>
  /** A provider of the tenant's; gives its id. */
  provider(tenant: Tenant, provider: Record<string, unknown>): Promise<string>
  begin(by: Record<string, unknown>, who?: Browser): Promise<{ url: string; who: Browser }>
  /** Where a browser ends up when it comes back from the provider. */
  finish(who: Browser, callbackUrl: string): Promise<string>
  /** Whom the browser's cookies stand for. */
  me(who: Browser): Promise<Me>
}

export type SsoWorld = World & SsoPlace & { dns: Dns }

export type Me = {
  status: number
  tenant?: { id: string }
  user?: { id: string; email: string; role: string }
}

/** The app with a resolver of its own, for tests of single sign-on and provisioning. */
export async function ssoWorld(variables: Record<string, string> = {}): Promise<SsoWorld> {
  const resolver = await dns()
  const many = { name: 'address', limit: 100_000, windowMs: 60_000 }
  const here = await world((services) => ({ ...services, limits: { ...services.limits, address: many } }), {
    ...inject('env'),
    DOH_URL: resolver.url,
    ...variables,
  })
  return {
    ...here,
    ...ssoPlace(here, resolver),
    dns: resolver,
    async close() {
      await here.close()
      await resolver.close()
    },
  }
}

export function ssoPlace(here: Pick<World, 'url' | 'tenant'>, resolver: Dns): SsoPlace {
  const made: SsoPlace = {
    redirectUri: `${here.url}/v1/sso/callback`,
    async prove(tenant, domain) {
      const claimed = await tenant.fetch('/v1/sso/domains', { method: 'POST', body: { domain } })
      const { record } = (await claimed.json()) as { record: { value: string } }
      resolver.txt.set(domain, [`"${record.value}"`])
      return tenant.fetch(`/v1/sso/domains/${domain}/verify`, { method: 'POST' })
    },
    async company() {
      const tenant = await here.tenant()
      const domain = `d${crypto.randomUUID().replaceAll('-', '').slice(0, 12)}.example.com`
      const proved = await made.prove(tenant, domain)
      if (proved.status !== 200) throw new Error(`domain: ${proved.status} ${await proved.text()}`)
      return { ...tenant, domain }
    },
    async provider(tenant, provider) {
      const answer = await tenant.fetch('/v1/sso/providers', {
        method: 'POST',
        body: { name: crypto.randomUUID(), ...provider },
      })
      if (answer.status !== 201) throw new Error(`provider: ${answer.status} ${await answer.text()}`)
      return ((await answer.json()) as { id: string }).id
    },
    async begin(by, who = browser()) {
      const answer = await who.post(`${here.url}/v1/sso/start`, JSON.stringify(by), 'application/json')
      if (answer.status !== 200) throw new Error(`start: ${answer.status} ${await answer.text()}`)
      return { url: ((await answer.json()) as { authorizationUrl: string }).authorizationUrl, who }
    },
    async finish(who, callbackUrl) {
      const answer = await who.get(callbackUrl)
      const location = answer.headers.get('location')
      if (answer.status !== 303 || location === null)
        throw new Error(`callback: ${answer.status} ${await answer.text()}`)
      return location
    },
    async me(who) {
      const answer = await who.get(`${here.url}/v1/me`)
      return { status: answer.status, ...((await answer.json()) as Omit<Me, 'status'>) }
    },
  }
  return made
}
