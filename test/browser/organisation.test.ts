import type { Browser } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import type { Tenant, World } from '#test/support/world.ts'
import { launchChromium } from './chromium.ts'
import { eventually, mailedLink, newMember, peopledWorld, person, type Person } from './people.ts'

let browser: Browser
let w: World
let tenant: Tenant
let me: Person
/** A second person, for the tests that need one. */
let other: Person | undefined

beforeAll(async () => {
  ;[browser, w] = await Promise.all([launchChromium(), peopledWorld()])
})

afterAll(async () => {
  await browser?.close()
  await w?.close()
})

beforeEach(async () => {
  ;[tenant, me] = await Promise.all([w.tenant(), person(browser, w.url)])
})

afterEach(async () => {
  await Promise.all([me.context.close(), other?.context.close()])
  other = undefined
})

const another = async (): Promise<Person> => (other ??= await person(browser, w.url))

async function accept(they: Person, email: string): Promise<void> {
  const { page } = they
  await page.goto(await mailedLink(w, email, 'You are invited'))
  await page.getByText(`as ${email}`).waitFor()
  await page.getByLabel('Your name').fill('Ada')
  await page.getByLabel('Password').fill('correct horse battery staple')
  await they.button('Join').click()
  await they.heading('Pipelines').waitFor()
}

const statusWith = async (key: string): Promise<number> =>
  (await fetch(`${w.url}/v1/me`, { headers: { Authorization: `Bearer ${key}` } })).status

it('invites somebody, who joins, gets another role and is taken out again', async () => {
  const { page } = me
  const they = await another()
  const email = `${crypto.randomUUID()}@example.com`
  await me.signIn(tenant)
  await me.settings('Members')
  await page.getByText('Nobody is invited at the moment.').waitFor()
  await page.getByLabel('E-mail').fill(email)
  await me.button('Invite').click()
  await page.getByRole('alert').getByText('Confirm your own e-mail address first').waitFor()
  await w.verify(tenant)
  expect(await page.getByLabel('E-mail').inputValue()).toBe(email)
  await page.getByLabel('Role').selectOption('viewer')
  await me.button('Invite').click()
  await me.told(`An invitation is on its way to ${email}`)
  const first = await mailedLink(w, email, 'You are invited')
  await me.button(`Send again to ${email}`).click()
  await me.told(`on its way to ${email} again`)
  await eventually(() => mailedLink(w, email, 'You are invited')).not.toBe(first)
  await they.page.goto(first)
  await they.page.getByRole('alert').getByText('This invitation cannot be used').waitFor()
  await accept(they, email)

  await page.reload()
  const row = page.getByRole('row').filter({ has: page.getByRole('rowheader', { name: email }) })
  await row.getByRole('cell', { name: 'viewer' }).waitFor()
  await me.button(`Change role of ${email}`).click()
  await page.getByRole('dialog').getByLabel('Role').selectOption('operator')
  await me.button('Give this role').click()
  await me.told(`The role of ${email} is changed`)
  await row.getByRole('cell', { name: 'operator' }).waitFor()
  await they.settings('Account')
  await they.page.getByRole('definition').getByText('operator').waitFor()

  await me.confirm(`Remove ${email}`, 'Remove')
  await me.told(`${email} is not a member any more.`)
  expect(await row.count()).toBe(0)
  await they.page.reload()
  await they.heading('Sign in').waitFor()

  // Another one is invited and not wanted after all.
  await page.getByLabel('E-mail').fill('nobody@example.com')
  await me.button('Invite').click()
  await me.confirm('Revoke the invitation of nobody@example.com', 'Revoke')
  await page.getByText('Nobody is invited at the moment.').waitFor()
  expect([...me.complaints(), ...they.complaints()]).toEqual([])
})

it('shows nobody what their role does not allow', async () => {
  await w.verify(tenant)
  const they = await another()
  await they.signIn(await newMember(w, tenant, 'viewer'))
  const { page } = they
  await they.button('Settings').click()
  const links = () => page.locator('#settings-menu').getByRole('link').allInnerTexts()
  expect(await links()).toEqual(['Account', 'Security', 'API keys'])
  for (const path of ['/members', '/audit', '/usage', '/service-accounts']) {
    await page.goto(path)
    await page.getByRole('alert').getByText('Your role does not allow this page').waitFor()
  }
  await page.goto('/keys')
  await page.getByText('You have no key yet.').waitFor()
  expect(await page.getByLabel('Whose').count()).toBe(0)
  await page.getByRole('link', { name: 'Make a key' }).click()
  await page.getByRole('group', { name: 'What it allows' }).waitFor()
  expect(await page.getByRole('checkbox', { name: 'read Pipelines' }).count()).toBe(1)
  expect(await page.getByRole('checkbox', { name: /^write/ }).count()).toBe(0)

  await they.settings('Account')
  await they.confirm(`Leave ${tenant.email}`, 'Leave')
  await they.heading('Sign in').waitFor()
  expect(they.complaints()).toEqual([])
})

it('makes a key that works, rotates it with an overlap, and revokes it', async () => {
  const { page } = me
  await me.signIn(tenant, '/keys/new')
  await page.getByLabel('Name').fill('nightly')
  await page.getByLabel('Only from these addresses').fill('203.0.113.0/24\nnot an address')
  await me.button('Make the key').click()
  await page.getByText('Line 2 must be an address').waitFor()
  await page.getByText('Choose at least one').waitFor()
  expect(await page.getByLabel('Name').inputValue()).toBe('nightly')
  await page.getByLabel('Only from these addresses').fill('')
  await me.button('Read and run').click()
  expect(await page.getByRole('checkbox', { name: 'write Runs' }).isChecked()).toBe(true)
  expect(await page.getByRole('checkbox', { name: 'write Pipelines' }).isChecked()).toBe(false)
  await me.button('Make the key').click()
  await page.getByRole('heading', { name: 'The key nightly' }).waitFor()
  const shown = page.locator('section code').first()
  const key = await shown.innerText()
  await me.button('Copy the key').click()
  await page.getByText('Copied').waitFor()
  const pad = await me.context.newPage()
  await pad.setContent('<textarea aria-label="Pad"></textarea>')
  await pad.getByLabel('Pad').focus()
  await pad.keyboard.press('ControlOrMeta+V')
  expect(await pad.getByLabel('Pad').inputValue()).toBe(key)
  await pad.close()
  expect(await statusWith(key)).toBe(200)
  await me.button('I have kept it').click()
  await me.heading('API keys').waitFor()
  const row = page.getByRole('row', { name: /^nightly/ })
  await row.first().waitFor()
  expect(await page.getByText(key).count()).toBe(0)

  await page.reload()
  await row.getByText('from 198.').waitFor()
  await me.button('Rotate nightly').click()
  await page.getByLabel('The old key stays good').selectOption('for an hour')
  await me.button('Make the new key').click()
  await page.getByRole('heading', { name: 'The key nightly' }).waitFor()
  const next = await shown.innerText()
  expect(next).not.toBe(key)
  expect([await statusWith(key), await statusWith(next)]).toEqual([200, 200])
  await me.button('I have kept it').click()
  await eventually(() => row.count()).toBe(2)
  expect(await row.filter({ hasText: 'replaced by another' }).count()).toBe(1)

  await row.filter({ hasText: 'replaced by another' }).getByRole('button', { name: 'Revoke nightly' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click()
  await me.told('The key nightly is revoked.')
  await eventually(() => statusWith(key)).toBe(401)
  expect(await statusWith(next)).toBe(200)
  expect(me.complaints()).toEqual([])
})

it('makes a service account with a key of its own, and disables it', async () => {
  const { page } = me
  await me.signIn(tenant, '/service-accounts')
  await page.getByText('There is no service account yet.').waitFor()
  await page.getByLabel('Name').fill('loader')
  await me.button('Make it').click()
  await me.told('loader is there.')
  await page.getByRole('link', { name: 'Keys of loader' }).click()
  await page.getByText('There is no key yet.').waitFor()
  await page.getByRole('link', { name: 'Make a key' }).click()
  await eventually(() => page.getByLabel('Whose').inputValue()).toMatch(/^sac_/)
  await page.getByLabel('Name').fill('loads')
  await page.getByRole('checkbox', { name: 'read Runs' }).check()
  await me.button('Make the key').click()
  const key = await page.locator('section code').first().innerText()
  expect(await statusWith(key)).toBe(200)
  await me.button('I have kept it').click()
  await page.getByRole('row', { name: /^loads/ }).waitFor()
  await page.getByLabel('Whose').selectOption('everybody’s')
  await page
    .getByRole('row', { name: /^loads/ })
    .getByRole('cell', { name: 'loader' })
    .waitFor()

  await me.settings('Service accounts')
  await me.confirm('Disable loader', 'Disable')
  await me.told('loader is disabled.')
  await eventually(() => statusWith(key)).toBe(401)
  await me.confirm('Remove loader', 'Remove')
  await page.getByText('There is no service account yet.').waitFor()
  expect(me.complaints()).toEqual([])
})
