import type { Browser } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, expect, inject, it } from 'vitest'
import type { PipelineId } from '#src/domain/id.ts'
import { client } from '#test/support/own-stack.ts'
import { finished, json } from '#test/support/pipeline.ts'
import type { Tenant, World } from '#test/support/world.ts'
import { launchChromium } from './chromium.ts'
import { faultsOf } from './inspect.ts'
import { eventually, newMember, peopledWorld, person, type Person } from './people.ts'

let browser: Browser
let w: World
let tenant: Tenant
let me: Person

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

afterEach(() => me.context.close())

it('shows in the audit log what was done, finds it again, and exports it', async () => {
  const { page } = me
  await me.signIn(tenant, '/audit')
  const made = page.getByRole('row', { name: /^api-key\./ }).first()
  await made.waitFor()
  await made.getByText(tenant.email).waitFor()
  await made.getByText('More', { exact: true }).click()
  await made.getByText('place in the chain').waitFor()

  await page.getByLabel('What', { exact: true }).fill('session.')
  await page.getByRole('combobox', { name: 'Who' }).selectOption(tenant.email)
  await me.button('Look').click()
  await eventually(() => new URL(page.url()).search).toBe(`?action=session.&actor=${tenant.userId}`)
  const actions = async () =>
    (await page.getByRole('rowheader').allInnerTexts()).map((text) => text.split('\n')[0])
  await eventually(async () => new Set(await actions())).toEqual(new Set(['session.open']))
  // The address alone says what is asked for.
  await page.goto('/audit?search=no-such-thing')
  await page.getByText('No entry fits this.').waitFor()
  expect(await page.getByLabel('Search').inputValue()).toBe('no-such-thing')
  await page.goto('/audit?action=api-key.')
  await page.getByRole('row', { name: /^api-key\./ }).waitFor()
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('link', { name: 'Export as CSV' }).click(),
  ])
  expect(download.suggestedFilename()).toBe('audit.csv')
  const stream = await download.createReadStream()
  const text = (await stream.toArray()).map(String).join('')
  expect(text.split('\r\n').filter((line) => line.includes('api-key.'))).toHaveLength(1)
  expect(me.complaints()).toEqual([])
})

it('shows more of the audit log when it is asked for', async () => {
  const { page } = me
  await Promise.all(
    Array.from({ length: 60 }, (_, i) =>
      tenant.fetch('/v1/projects', { method: 'POST', body: { name: `project ${i}` } }),
    ),
  )
  await me.signIn(tenant, '/audit?action=project.')
  const rows = page.getByRole('rowheader')
  await eventually(() => rows.count()).toBe(50)
  await me.button('More').last().click()
  await eventually(() => rows.count()).toBe(60)
  expect(await me.button('More').count()).toBe(0)
})

it('shows what is used of each quota, when it begins anew, and what it costs', async () => {
  const owner = await client(inject('ownerUrl'))
  const quotas = { requests: 1000, members: 1 }
  await owner.query('update tenants set quotas = $2 where tenant_id = $1', [tenant.id, quotas])
  await owner.end()
  const project = await json<{ id: string }>(
    await tenant.fetch('/v1/projects', { method: 'POST', body: { name: 'Sales' } }),
    201,
  )
  const made = await tenant.fetch(`/v1/pipelines?project=${project.id}`, {
    method: 'POST',
    body: 'apiVersion: weir/v1\nkind: Pipeline\nname: p\nsteps: [{ id: one, sql: "select * from (values (1), (2)) as v(n)", into: d }]\n',
    headers: { 'Content-Type': 'application/yaml' },
  })
  const { id } = await json<{ id: PipelineId }>(made, 201)
  expect((await finished(tenant, id)).state).toBe('succeeded')
  const { page } = me
  await me.signIn(tenant)
  await me.settings('Usage')
  const row = (name: RegExp) => page.getByRole('row', { name })
  expect(await row(/^Members/).innerText()).toMatch(/1\s+1\s+100 % used up/)
  expect(await row(/^Runs/).innerText()).toMatch(/1\s+no limit/)
  expect(await row(/^Sales/).innerText()).toMatch(/^Sales\s+0\s+1\s+2\s.*\$0\.0000\d+/)
  expect(await row(/^Altogether/).innerText()).toMatch(/\s1\s+2\s/)
  const [table] = await Promise.all([page.waitForEvent('download'), me.button('Export as CSV').click()])
  expect(table.suggestedFilename()).toMatch(/^usage-.*-by-project\.csv$/)
  const csv = (await (await table.createReadStream()).toArray()).map(String).join('')
  expect(csv).toMatch(/^project,name,requests,runs,/)
  expect(csv).toContain(`${project.id},Sales,`)
  expect(
    await row(/^Requests to the API/)
      .locator('time')
      .count(),
  ).toBe(1)
  await page.getByRole('combobox', { name: 'By' }).selectOption('day')
  await eventually(() => new URL(page.url()).search).toBe('?month=this&by=day')
  await page.getByRole('combobox', { name: 'Month' }).selectOption('the last one')
  await page.getByText(/^Nothing was used from/).waitFor()
  expect(me.complaints()).toEqual([])
})

it('names what it shows, can be read in light and dark, and fits a window of 390 and of 1,280', async () => {
  await w.verify(tenant)
  const made = await tenant.fetch('/v1/service-accounts', {
    method: 'POST',
    body: { name: 'loader', role: 'viewer' },
  })
  expect(made.status).toBe(201)
  await newMember(w, tenant, 'developer')
  const { page } = me
  await me.signIn(tenant)
  /** As following a link does, without loading all of it again. */
  const go = (path: string) =>
    page.evaluate((to) => {
      history.pushState(null, '', to)
      dispatchEvent(new PopStateEvent('popstate'))
    }, path)
  const there: Record<string, string> = {
    '/account': 'Leave',
    '/security': 'Add a passkey',
    '/keys?of=all': 'Revoke',
    '/keys/new': 'None',
    '/service-accounts': 'Disable',
    '/members': 'Change role',
    '/audit': 'Look',
    '/usage': 'Export as CSV',
  }
  for (const [width, colorScheme] of [
    [390, 'dark'],
    [1280, 'light'],
  ] as const) {
    await page.setViewportSize({ width, height: 800 })
    await page.emulateMedia({ colorScheme })
    for (const [path, word] of Object.entries(there)) {
      await go(path)
      await page.getByRole('button').getByText(word, { exact: true }).first().waitFor()
      expect(await faultsOf(page), `${path} at ${width}`).toEqual([])
    }
    await me.button('Settings').click()
    expect(await faultsOf(page), `the menu at ${width}`).toEqual([])
    await go('/members')
    await page.getByRole('button', { name: /^Remove/ }).click()
    await page.getByRole('dialog').waitFor()
    expect(await faultsOf(page), `a question at ${width}`).toEqual([])
  }
  expect(me.complaints()).toEqual([])
})

it('opens and closes its menu by the keyboard, and says where one is', async () => {
  const { page } = me
  const focused = () => page.evaluate(() => document.activeElement?.textContent?.trim() ?? '')
  await me.signIn(tenant)
  await me.button('Settings').focus()
  await page.keyboard.press('Enter')
  await eventually(() => me.button('Settings').getAttribute('aria-expanded')).toBe('true')
  await page.keyboard.press('Escape')
  await eventually(() => me.button('Settings').getAttribute('aria-expanded')).toBe('false')
  expect(await focused()).toMatch(/^Settings/)
  await page.keyboard.press('Enter')
  await page.locator('#settings-menu').waitFor()
  await page.keyboard.press('Tab')
  expect(await focused()).toBe('Account')
  await page.keyboard.press('Enter')
  await me.heading('Account').waitFor()
  await eventually(focused).toBe('Account')
  expect(await page.title()).toBe('Account · Weir')
  await eventually(() => me.button('Settings').getAttribute('aria-expanded')).toBe('false')
  const nav = page.getByRole('navigation', { name: 'Pages of the settings' })
  expect(await nav.locator('[aria-current=page]').innerText()).toBe('Account')
})

it('says what could not be had, and asks for it again', async () => {
  const { page } = me
  await page.route('**/v1/members?*', (route) => route.abort())
  await page.route('**/v1/members', (route) => route.abort())
  await me.signIn(tenant, '/members')
  await page.getByRole('alert').getByText('Weir cannot be reached').waitFor()
  await page.unrouteAll()
  await me.button('Try again').click()
  await page.getByRole('rowheader', { name: tenant.email }).waitFor()
  expect(await page.getByRole('alert').count()).toBe(0)
})

it('shows what is in an organisation after it was switched to, and nothing of the one before', async () => {
  const { page } = me
  await me.signIn(tenant, '/keys')
  await page.getByRole('row', { name: /^test/ }).waitFor()
  const made = await fetch(`${w.url}/v1/me/tenants`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${tenant.accessToken}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ name: 'Second' }),
  })
  expect(made.status).toBe(201)
  await page.reload()
  await page.getByRole('combobox', { name: 'Organisation' }).selectOption('Second')
  await page.getByText('You have no key yet.').waitFor()
  await me.settings('Account')
  const rows = page.getByRole('table', { name: 'Where you are a member' }).getByRole('row')
  await eventually(() => rows.count()).toBe(3)
  expect(await page.getByRole('definition').getByText('Second').count()).toBe(1)
  expect(await me.button('Leave Second').count()).toBe(1)
  expect(me.complaints()).toEqual([])
})
