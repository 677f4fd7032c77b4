import { Secret, TOTP } from 'otpauth'
import type pg from 'pg'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, it } from 'vitest'
import { consoleFiles } from '#local/console-files.ts'
import { client } from '#test/support/own-stack.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'
import { builtConsole } from '#test/web/built.ts'
import { launchChromium } from './chromium.ts'

let browser: Browser
let w: World
let owner: pg.Client
let tenant: Tenant
let base: string
let ahead = 0

let context: BrowserContext
let page: Page
let said: string[]

beforeAll(async () => {
  const chromium = launchChromium()
  owner = await client(inject('ownerUrl'))
  await using web = await builtConsole()
  // A browser makes passkeys for names, never for addresses.
  const named = (url: string) => url.replace('127.0.0.1', 'localhost')
  w = await world(
    (services) => ({
      ...services,
      env: { ...services.env, PUBLIC_URL: named(services.env.PUBLIC_URL) },
      now: () => new Date(Date.now() + ahead),
    }),
    undefined,
    await consoleFiles(web.dir),
  )
  base = named(w.url)
  browser = await chromium
})

afterAll(async () => {
  await browser?.close()
  await w?.close()
  await owner?.end()
})

beforeEach(async () => {
  ahead = 0
  tenant = await w.tenant()
  context = await browser.newContext({ baseURL: base, locale: 'en-GB' })
  context.setDefaultTimeout(15_000)
  page = await context.newPage()
  said = []
  page.on('console', (message) => said.push(message.text()))
  page.on('pageerror', (error) => said.push(`uncaught: ${error.message}`))
})

afterEach(() => context.close())

/** What the browser complained of, its policy for scripts and styles included. */
const complaints = () => said.filter((line) => !/the server responded with a status of 40[1349]/.test(line))

const heading = (name: string) => page.getByRole('heading', { level: 1, name })
const codeOf = (secret: string) =>
  TOTP.generate({ secret: Secret.fromBase32(secret), timestamp: Date.now() + ahead })

async function passwordStep() {
  await page.getByLabel('E-mail', { exact: true }).fill(tenant.email)
  await page.getByLabel('Password', { exact: true }).fill(tenant.password)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
}

const openMenu = () => page.getByRole('button', { name: 'Settings', exact: true }).click()

async function signOut() {
  await openMenu()
  await page.getByRole('button', { name: 'Sign out', exact: true }).click()
}

async function openSecurity() {
  await page.goto('/security')
  await passwordStep()
  await heading('Security').waitFor()
}

/** A security key that lives in the browser, with its user's finger on it. */
async function plugIn() {
  const session = await context.newCDPSession(page)
  await session.send('WebAuthn.enable')
  await session.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
    },
  })
}

it('sets up an authenticator app with a square to scan, and asks for its code at the next sign-in', async () => {
  await openSecurity()
  await page.getByRole('button', { name: 'Add an authenticator app' }).click()
  await page.getByRole('heading', { name: 'Set up the authenticator app' }).waitFor()
  await expect.poll(() => page.locator('svg path').count()).toBe(2)
  const secret = (await page.locator('section code').first().innerText()).trim()
  await page.getByLabel('Code').fill(codeOf(secret))
  await page.getByRole('button', { name: 'Confirm' }).click()
  await page.getByRole('heading', { name: 'Your recovery codes' }).waitFor()
  const codes = await page.locator('section li code').allInnerTexts()
  expect(codes).toHaveLength(10)
  await page.getByRole('button', { name: 'I have kept them' }).click()
  await page.getByRole('row', { name: /Authenticator app/ }).waitFor()

  await signOut()
  await heading('Sign in').waitFor()
  ahead = 60_000
  await passwordStep()
  await heading('Second step').waitFor()
  await page.getByLabel('Code').fill('000000')
  await page.getByRole('button', { name: 'Go on' }).click()
  await page.getByRole('alert').waitFor()
  await page.getByLabel('Code').fill(codeOf(secret))
  await page.getByRole('button', { name: 'Go on' }).click()
  await heading('Pipelines').waitFor()

  await signOut()
  await passwordStep()
  await page.getByRole('button', { name: 'Use a recovery code' }).click()
  await page.getByLabel('Recovery code').fill(codes[0] ?? '')
  await page.getByRole('button', { name: 'Go on' }).click()
  await heading('Pipelines').waitFor()
  expect(complaints()).toEqual([])
})

it('makes a passkey, signs in with it alone and as a second step, and removes it', async () => {
  await plugIn()
  await openSecurity()
  await page.getByLabel('Name of the new passkey').fill('Laptop')
  await page.getByRole('button', { name: 'Add a passkey' }).click()
  await page.getByRole('heading', { name: 'Your recovery codes' }).waitFor()
  await page.getByRole('button', { name: 'I have kept them' }).click()
  await page.getByRole('row', { name: /Laptop/ }).waitFor()

  await signOut()
  await page.getByRole('button', { name: 'Use a passkey instead' }).click()
  await heading('Pipelines').waitFor()

  await signOut()
  await passwordStep()
  await heading('Second step').waitFor()
  await page.getByRole('button', { name: 'Show your passkey' }).click()
  await heading('Pipelines').waitFor()

  await openMenu()
  await page.locator('#settings-menu').getByRole('link', { name: 'Security' }).click()
  await heading('Security').waitFor()
  ahead = 9 * 60_000
  await page.getByRole('button', { name: 'Remove Laptop' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click()
  await page.getByText('None. A password alone opens your account.').waitFor()
  expect(complaints()).toEqual([])
})

it('has somebody set up their first factor in the middle of a sign-in that demands one', async () => {
  await owner.query(`update tenants set mfa_roles = '{all}' where tenant_id = $1`, [tenant.id])
  await page.goto('/runs')
  await passwordStep()
  await heading('Second step').waitFor()
  await page.getByRole('button', { name: 'Set up an authenticator app' }).click()
  await expect.poll(() => page.locator('svg path').count()).toBe(2)
  const secret = (await page.locator('form code').first().innerText()).trim()
  await page.getByLabel('Code').fill(codeOf(secret))
  await page.getByRole('button', { name: 'Go on' }).click()
  await page.getByRole('button', { name: 'I have kept them' }).click()
  await heading('Runs').waitFor()
  await openMenu()
  await page.locator('#settings-menu').getByRole('link', { name: 'Security' }).click()
  await page.getByRole('button', { name: 'Remove Authenticator app' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click()
  await page.getByRole('alert').getByText('this is your last one').waitFor()
  expect(complaints()).toEqual([])
})

it('asks an older session to show again whose it is, and then goes on', async () => {
  await openSecurity()
  await owner.query(`update sessions set created_at = now() - interval '11 minutes' where user_id = $1`, [
    tenant.userId,
  ])
  await page.getByRole('button', { name: 'Add an authenticator app' }).click()
  await page.getByRole('heading', { name: 'Show that it is you' }).waitFor()
  await page.getByLabel('Password').fill('wrong horse battery')
  await page.getByRole('button', { name: 'Go on' }).click()
  await page.getByRole('alert').waitFor()
  await page.getByLabel('Password').fill(tenant.password)
  await page.getByRole('button', { name: 'Go on' }).click()
  await page.getByRole('heading', { name: 'Set up the authenticator app' }).waitFor()
  expect(complaints()).toEqual([])
})
