import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, inject, it } from 'vitest'
import { consoleFiles } from '#local/console-files.ts'
import { dns, type Dns } from '#test/support/dns.ts'
import { samlIdp, type SamlForm } from '#test/support/saml-provider.ts'
import { serve } from '#test/support/server.ts'
import { ssoPlace, type SsoPlace } from '#test/support/sso.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'
import { builtConsole } from '#test/web/built.ts'
import { launchChromium } from './chromium.ts'

let chromium: Browser
let w: World
let resolver: Dns
let here: SsoPlace
let acme: Tenant & { domain: string }
let providerId: string
let spMetadata: string
let site: Awaited<ReturnType<typeof serve>>
/** What the provider's site shows next. */
let answer: (url: string) => Promise<SamlForm>
const idp = samlIdp()

const page = ({ acs, fields }: SamlForm) =>
  `<form method="post" action="${acs}">${Object.entries(fields)
    .map(([name, value]) => `<input type="hidden" name="${name}" value="${value}">`)
    .join('')}</form><script>document.forms[0].submit()</script>`

beforeAll(async () => {
  const launched = launchChromium()
  await using web = await builtConsole()
  resolver = await dns()
  const env = { ...inject('env'), DOH_URL: resolver.url }
  w = await world(undefined, env, await consoleFiles(web.dir))
  here = ssoPlace(w, resolver)
  site = await serve(() => async ({ url }) => {
    const headers = { 'Content-Type': 'text/html' }
    return new Response(page(await answer(url)), { headers })
  })
  acme = await here.company()
  providerId = await here.provider(acme, {
    kind: 'saml',
    metadata: idp.metadata,
    // To a browser another site than ours, which is at the address.
    signInUrl: `${site.url.replace('127.0.0.1', 'localhost')}/sso`,
    emailAttribute: 'mail',
    defaultRole: 'viewer',
  })
  spMetadata = await (await fetch(`${w.url}/v1/sso/providers/${providerId}/metadata`)).text()
  chromium = await launched
})
afterAll(async () => {
  await chromium?.close()
  await site?.close()
  await w?.close()
  await resolver?.close()
})

it('signs in over SAML from another site, whose form our cookie does not come along with', async () => {
  const email = `${crypto.randomUUID()}@${acme.domain}`
  answer = (url) => idp.answer(url, spMetadata, { id: email, email })
  const context = await chromium.newContext({ baseURL: w.url, locale: 'en-GB' })
  const tab = await context.newPage()
  const forms: (string | undefined)[] = []
  tab.on('request', (request) => {
    if (request.url().endsWith('/acs'))
      void request.allHeaders().then((headers) => forms.push(headers['cookie'] ?? 'no cookie'))
  })
  await tab.goto('/sign-in')
  await tab.getByLabel('Address at work').fill(email)
  await tab.getByRole('button', { name: 'Sign in with your company' }).click()
  await tab.waitForURL((url) => url.href.startsWith(w.url) && !url.pathname.startsWith('/sign-in'))
  expect(await tab.evaluate(() => fetch('/v1/me').then((response) => response.json()))).toMatchObject({
    tenant: { id: acme.id },
    user: { email },
  })
  expect(forms).toEqual(['no cookie'])
  await context.close()
})

it('signs nobody in whose browser was made to post the form of somebody else’s sign-in', async () => {
  const email = `${crypto.randomUUID()}@${acme.domain}`
  const { url } = await here.begin({ providerId })
  const theirs = await idp.answer(url, spMetadata, { id: email, email })
  answer = () => Promise.resolve(theirs)
  const context = await chromium.newContext({ baseURL: w.url, locale: 'en-GB' })
  const tab = await context.newPage()
  await tab.goto(`${site.url.replace('127.0.0.1', 'localhost')}/lure`)
  await tab.waitForURL((at) => at.pathname === '/sign-in')
  await tab.getByText('was begun in another browser').waitFor()
  expect((await context.cookies()).filter(({ domain }) => domain === '127.0.0.1')).toEqual([])
  await context.close()
})
