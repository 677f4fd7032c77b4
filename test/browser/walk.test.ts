import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { consoleFiles } from '#local/console-files.ts'
import { connect, finished, pipeline, upload, warehouseTable } from '#test/support/pipeline.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'
import { builtConsole } from '#test/web/built.ts'
import { launchChromium } from './chromium.ts'

const patienceMs = 10_000

let browser: Browser
let w: World
let tenant: Tenant
let airports: string
let failing: string
/** While it is set, nothing wakes the runs that are started. */
let held: { free: Promise<void>; release: () => void } | undefined

let context: BrowserContext
let page: Page
let said: string[]

beforeAll(async () => {
  const chromium = launchChromium()
  await using web = await builtConsole()
  const files = await consoleFiles(web.dir)
  w = await world(
    (services) => ({
      ...services,
      async send(tenantId, messages) {
        await held?.free
        await services.send(tenantId, messages)
      },
    }),
    undefined,
    files,
  )
  tenant = await w.tenant()
  const uploads = await connect(tenant, 'files', 'uploads')
  await connect(tenant, 'postgres', 'warehouse')
  await upload(tenant, uploads, 'airports.csv', 'iata,city\nJFK,New York\n00M,Bay Springs\nLAX,Los Angeles\n')
  airports = await pipeline(
    tenant,
    `description: Airports for the walk.
steps:
  - id: read
    extract: { connection: uploads, stream: airports.csv }
    into: raw
  - id: check
    check: raw
    rules:
      - { rule: matches, column: iata, pattern: '^[A-Z]{3}$', onFail: reject }
  - id: load
    load: { from: raw, connection: warehouse, table: public.${warehouseTable()}, mode: overwrite }
`,
    'airports',
  )
  const missing =
    'steps:\n  - id: read\n    extract: { connection: uploads, stream: missing.csv }\n    into: raw\n'
  failing = (await finished(tenant, await pipeline(tenant, missing, 'missing'))).id
  browser = await chromium
})

afterAll(async () => {
  await browser?.close()
  await w?.close()
})

beforeEach(async () => {
  context = await browser.newContext({ baseURL: w.url, locale: 'en-GB' })
  context.setDefaultTimeout(patienceMs)
  page = await context.newPage()
  said = []
  page.on('console', (message) => said.push(message.text()))
  page.on('pageerror', (error) => said.push(`uncaught: ${error.message}`))
})

/** What the browser complained of; that a request was refused is no fault of the console's. */
const complaints = () => said.filter((line) => !/the server responded with a status of 40[14]/.test(line))

afterEach(async () => {
  held?.release()
  held = undefined
  await context.close()
})

function holdRuns() {
  let release = () => {}
  const free = new Promise<void>((resolve) => {
    release = resolve
  })
  held = { free, release }
}

async function signIn(password = tenant.password) {
  await page.getByLabel('E-mail', { exact: true }).fill(tenant.email)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
}

async function signOut() {
  await page.getByRole('button', { name: 'Settings' }).click()
  await page.getByRole('button', { name: 'Sign out' }).click()
}

const heading = (name: string | RegExp) => page.getByRole('heading', { level: 1, name })

/** The texts of a row's cells, the one in its heading first. */
const row = (name: string | RegExp) =>
  page
    .getByRole('row', { name })
    .locator('th, td')
    .allInnerTexts()
    .then((texts) => texts.map((text) => text.replaceAll(/\s+/g, ' ').trim()))

it('signs in, starts a pipeline and sees its run come to its end', async () => {
  await page.goto('/')
  await signIn()
  await heading('Pipelines').waitFor()
  expect(await page.title()).toBe('Pipelines · Weir')
  await expect
    .poll(() => row(/^airports/))
    .toMatchObject([expect.stringContaining('Airports for the walk.'), 'never', '1', expect.anything()])
  expect((await row(/^missing/))[1]).toContain('failed')

  holdRuns()
  await page.getByRole('link', { name: 'airports' }).click()
  await heading('airports').waitFor()
  const streamed = page.waitForResponse(/\/v1\/runs\/run_\w+\/events/)
  await page.getByRole('button', { name: 'Run now' }).click()
  await heading(/^Run …\w{8} of airports$/).waitFor()
  await page.getByText('0 of 3 steps done').waitFor()
  await page.getByRole('status').getByText('queued').waitFor()
  expect((await streamed).headers()['content-type']).toBe('text/event-stream')
  expect(await row(/^check check/)).toMatchObject(['check check', '○ pending', '–', '–', '–', '–', '–', ''])

  held?.release()
  await page.getByText('3 of 3 steps done').waitFor()
  await page.getByRole('status').getByText('succeeded').waitFor()
  await page.getByRole('cell', { name: 'rejected' }).waitFor()
  const rows = async (name: RegExp) => (await row(name)).slice(1, 5)
  await expect.poll(() => rows(/^read extract/)).toEqual(['✓ succeeded', '3', '3', '0'])
  expect(await rows(/^check check/)).toEqual(['✓ succeeded', '3', '2', '1'])
  expect(await rows(/^load load/)).toEqual(['✓ succeeded', '2', '2', '0'])
  expect(await row(/^iata matches/)).toEqual(['iata matches', 'check', '! rejected', '3', '1'])
  expect(await page.getByRole('button', { name: 'Cancel this run' }).count()).toBe(0)
  expect(complaints()).toEqual([])
})

it('asks who is signed out to sign in, says when that is wrong, and goes on to where they wanted', async () => {
  await page.goto(`/runs/${failing}?from=mail`)
  await heading('Sign in').waitFor()
  await signIn('not the password')
  await page.getByRole('alert').getByText('Address and password do not belong together.').waitFor()
  expect(new URL(page.url()).pathname).toBe('/sign-in')
  await signIn()
  await heading(/of missing$/).waitFor()
  expect(page.url()).toBe(`${w.url}/runs/${failing}?from=mail`)
  await page.getByRole('alert').getByText('missing.csv').waitFor()

  // The access token runs out, and nobody notices.
  await context.clearCookies({ name: '__Host-access' })
  await page.getByRole('link', { name: 'Runs' }).click()
  await heading('Runs').waitFor()
  await page.getByRole('row', { name: /failed/ }).waitFor()
  expect((await context.cookies()).map(({ name }) => name).sort()).toEqual([
    '__Host-access',
    // Says that this browser has signed in before.
    '__Host-device',
    '__Host-refresh',
  ])

  await signOut()
  await heading('Sign in').waitFor()
  expect(page.url()).toBe(`${w.url}/sign-in`)
  await page.goto('/runs')
  await heading('Sign in').waitFor()
  expect(complaints()).toEqual([])
})

it('needs no mouse, and says where one is', async () => {
  const press = (...keys: string[]) =>
    keys.reduce((last, key) => last.then(() => page.keyboard.press(key)), Promise.resolve())
  const focused = () => page.evaluate(() => document.activeElement?.textContent ?? '')
  /** Tabs on until what it is on says so. */
  const tabTo = async (what: RegExp) => {
    for (let presses = 0; presses < 40; presses += 1) {
      await press('Tab')
      if (what.test(await focused())) return
    }
    throw new Error(`forty tabs do not lead to ${what}`)
  }
  await page.goto('/pipelines')
  await heading('Sign in').waitFor()
  await press('Tab')
  expect(await focused()).toBe('Skip to the content')
  await press('Tab')
  await page.keyboard.type(tenant.email)
  await press('Tab')
  await page.keyboard.type(tenant.password)
  await press('Enter')
  await heading('Pipelines').waitFor()
  await page.getByRole('link', { name: 'airports' }).waitFor()
  await expect.poll(focused).toBe('Pipelines')
  await tabTo(/^airports$/)
  await press('Enter')
  await page.getByRole('button', { name: 'Run now' }).waitFor()
  await expect.poll(focused).toBe('airports')
  await tabTo(/^Run now$/)
  await press('Space')
  await page.getByText('3 of 3 steps done').waitFor()
  await expect.poll(focused).toMatch(/^Run …/)
  expect(await page.title()).toMatch(/^Run …\w{8} of airports · Weir$/)

  await page.goto('/runs')
  await page.getByRole('table').waitFor()
  await tabTo(/^Runs$/)
  expect(await page.evaluate(() => document.activeElement?.getAttribute('aria-current'))).toBe('page')
  await page.getByLabel('State').focus()
  await page.keyboard.type('failed')
  await expect.poll(() => new URL(page.url()).search).toBe('?state=failed')
  await expect.poll(() => page.getByRole('row').count()).toBe(2)
  await page.goBack()
  await expect.poll(() => page.getByRole('row').count()).toBeGreaterThan(2)
  expect(complaints()).toEqual([])
})

it('signs up, and fits a narrow window', async () => {
  await page.setViewportSize({ width: 360, height: 740 })
  const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth)
  await page.goto('/sign-up')
  await page.getByLabel('Organisation').fill('Acme')
  await page.getByLabel('E-mail', { exact: true }).fill('nobody@nowhere')
  await page.getByLabel('Password').fill('correct horse')
  await page.getByRole('button', { name: 'Sign up' }).click()
  await page.getByRole('alert').waitFor()
  expect(await page.getByLabel('E-mail', { exact: true }).getAttribute('aria-invalid')).toBe('true')
  await page.getByLabel('E-mail', { exact: true }).fill(`${crypto.randomUUID()}@example.com`)
  await page.getByRole('button', { name: 'Sign up' }).click()
  await page.getByText('There is no pipeline yet.').waitFor()
  expect(await fits()).toBe(true)
  await page.getByRole('link', { name: 'Runs' }).click()
  await page.getByText('Nothing has run yet.').waitFor()

  // Another tenant's run is as absent as a made-up one.
  await page.goto(`/runs/${failing}`)
  await page
    .getByRole('alert')
    .getByText(/^There is no such run/)
    .waitFor()
  await signOut()
  await heading('Sign in').waitFor()
  await signIn()
  await page.getByRole('link', { name: 'missing' }).waitFor()
  for (const path of ['/pipelines', '/runs', `/pipelines/${airports}`, `/runs/${failing}`]) {
    await page.goto(path)
    await page.getByRole('table').first().waitFor()
    expect(await fits(), path).toBe(true)
  }
  expect(complaints().filter((line) => !line.includes('422'))).toEqual([])
})

it('carries a policy that lets nothing inline in, and would show here if it were broken', async () => {
  const served = await page.goto('/no-such-page')
  expect(served?.headers()['content-security-policy']).toContain(
    "default-src 'none'; script-src 'self'; style-src 'self'",
  )
  await heading('Sign in').waitFor()
  // Again, from what the browser has kept: the answer is a 304 then.
  await page.goto('/sign-in')
  await page.goto('/sign-in')
  await heading('Sign in').waitFor()
  expect(complaints()).toEqual([])
  await page.evaluate(() => document.body.setAttribute('style', 'color: red'))
  await expect.poll(complaints).toEqual([expect.stringContaining('Content Security Policy')])
})
