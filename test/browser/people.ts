import type { Browser, BrowserContext, Page } from 'playwright-core'
import { expect, inject } from 'vitest'
import type { Services } from '#src/actions/context.ts'
import { consoleFiles } from '#local/console-files.ts'
import { until } from '#test/support/until.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'
import { builtConsole } from '#test/web/built.ts'

export type Credentials = { email: string; password: string }

/** Somebody at a browser of their own. */
export type Person = {
  context: BrowserContext
  page: Page
  /** What the browser complained of; that a request was refused is no fault of the console's. */
  complaints: () => string[]
  heading: (name: string | RegExp) => ReturnType<Page['getByRole']>
  button: (name: string | RegExp) => ReturnType<Page['getByRole']>
  signIn: (as: Credentials, path?: string) => Promise<void>
  signOut: () => Promise<void>
  /** Opens one of the pages in the menu. */
  settings: (name: string) => Promise<void>
  /** Presses a button that asks first, and then the one that does it. */
  confirm: (name: string | RegExp, action: string) => Promise<void>
  /** Waits for what the page says that it has done. */
  told: (text: string | RegExp) => Promise<void>
}

const patienceMs = 10_000

/** Asks until it is so; a machine that does much else takes its time. */
export function eventually<T>(probe: () => T | Promise<T>) {
  return expect.poll(probe, { timeout: patienceMs })
}

const refused = /the server responded with a status of 4(0[0-9]|10|22)/

export async function person(browser: Browser, baseURL: string, width = 1280): Promise<Person> {
  const context = await browser.newContext({
    baseURL,
    locale: 'en-GB',
    viewport: { width, height: 800 },
    permissions: ['clipboard-write'],
  })
  context.setDefaultTimeout(patienceMs)
  const page = await context.newPage()
  const said: string[] = []
  page.on('console', (message) => said.push(message.text()))
  page.on('pageerror', (error) => said.push(`uncaught: ${error.message}`))
  const heading = (name: string | RegExp) => page.getByRole('heading', { level: 1, name })
  const button = (name: string | RegExp) => page.getByRole('button', { name, exact: true })
  const menu = async () => {
    await button('Settings').click()
    return page.locator('#settings-menu')
  }
  return {
    context,
    page,
    complaints: () => said.filter((line) => !refused.test(line)),
    heading,
    button,
    async signIn({ email, password }, path = '/') {
      await page.goto(path)
      await page.getByLabel('E-mail', { exact: true }).fill(email)
      await page.getByLabel('Password', { exact: true }).fill(password)
      await button('Sign in').click()
      await button('Settings').waitFor()
    },
    async signOut() {
      await (await menu()).getByRole('button', { name: 'Sign out' }).click()
      await heading('Sign in').waitFor()
    },
    async settings(name) {
      await (await menu()).getByRole('link', { name, exact: true }).click()
      await heading(name).waitFor()
    },
    async confirm(name, action) {
      await button(name).click()
      await page.getByRole('dialog').getByRole('button', { name: action, exact: true }).click()
    },
    told: (text) => page.getByRole('status').filter({ hasText: text }).waitFor(),
  }
}

/** A world for people at browsers, with the console in it; its limits are for more than one person at one address. */
export async function peopledWorld(
  change: (services: Services) => Services = (services) => services,
): Promise<World> {
  await using web = await builtConsole()
  const roomy = <P extends { limit: number }>(policy: P): P => ({ ...policy, limit: 10_000 })
  return world(
    (services) => {
      const { limits } = services
      return {
        ...change(services),
        limits: {
          ...limits,
          user: roomy(limits.user),
          address: roomy(limits.address),
          signInAddress: roomy(limits.signInAddress),
        },
      }
    },
    inject('env'),
    await consoleFiles(web.dir),
  )
}

/** The link in the newest mail to an address whose subject begins like this. */
export async function mailedLink(w: World, to: string, subject: string): Promise<string> {
  const mail = await until(`a mail "${subject}" to ${to}`, async () =>
    (await w.mails(to)).findLast((one) => one.subject.startsWith(subject)),
  )
  const [link] = /https?:\S+#token=\S+/.exec(mail.text) ?? []
  expect(link, mail.text).toBeDefined()
  return link ?? ''
}

/** Somebody new in the tenant, whose owner has confirmed their address. */
export async function newMember(w: World, tenant: Tenant, role: string): Promise<Credentials> {
  const email = `${crypto.randomUUID()}@example.com`
  const { password } = tenant
  const post = async (path: string, body: unknown, headers: Record<string, string> = {}) => {
    const answer = await fetch(`${w.url}${path}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...headers },
      body: JSON.stringify(body),
    })
    expect(answer.status, path).toBe(201)
  }
  await post('/v1/invitations', { email, role }, { Authorization: `Bearer ${tenant.accessToken}` })
  const token = await w.mailedToken(email, 'You are invited')
  await post('/v1/invitations/use', { token, account: { name: 'Ada', password } })
  return { email, password }
}
