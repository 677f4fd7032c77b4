import type { Browser } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import type { World } from '#test/support/world.ts'
import { launchChromium } from './chromium.ts'
import { eventually, mailedLink, peopledWorld, person, type Person } from './people.ts'

const password = 'correct horse battery staple'

let browser: Browser
let w: World
let me: Person
let elsewhere: Person

beforeAll(async () => {
  ;[browser, w] = await Promise.all([launchChromium(), peopledWorld()])
})

afterAll(async () => {
  await browser?.close()
  await w?.close()
})

beforeEach(async () => {
  ;[me, elsewhere] = await Promise.all([person(browser, w.url), person(browser, w.url)])
})

afterEach(async () => {
  await Promise.all([me.context.close(), elsewhere.context.close()])
})

it('confirms an address by its mail, and ends every other session when the password is changed', async () => {
  const email = `${crypto.randomUUID()}@example.com`
  const { page } = me
  await page.goto('/sign-up')
  await page.getByLabel('Organisation').fill('Acme')
  await page.getByLabel('E-mail', { exact: true }).fill(email)
  await page.getByLabel('Password').fill(password)
  await me.button('Sign up').click()
  await me.heading('Pipelines').waitFor()
  await me.settings('Account')
  await page.getByText('Your address is not confirmed yet').waitFor()

  await page.goto(await mailedLink(w, email, 'Confirm your e-mail address'))
  await me.heading('Confirm the address').waitFor()
  expect(new URL(page.url()).hash).toBe('')
  await me.button('Confirm the address').click()
  await page.getByText('The address is confirmed.').waitFor()
  await page.getByRole('link', { name: 'Go to Weir' }).click()
  await me.settings('Account')
  expect(await page.getByText('Your address is not confirmed yet').count()).toBe(0)

  await elsewhere.signIn({ email, password })
  await page.reload()
  const sessions = page.getByRole('table', { name: /^Your sessions/ })
  await eventually(() => sessions.getByRole('row').count()).toBe(3)
  expect(await sessions.getByText('this one').count()).toBe(1)
  expect(await sessions.getByRole('rowheader', { name: /^Chrome on Linux/ }).count()).toBe(2)

  const current = page.getByLabel('Current password')
  const next = page.getByLabel('New password')
  await current.fill('not my password')
  await next.fill('another horse battery')
  await me.button('Change the password').click()
  await page.getByText('is not your password').waitFor()
  // What was typed stays, and one is where it is wrong.
  expect(await next.inputValue()).toBe('another horse battery')
  await eventually(() => current.evaluate((input) => input === document.activeElement)).toBe(true)
  await current.fill(password)
  await next.fill('01011980')
  await me.button('Change the password').click()
  await page.getByText('is known from stolen lists of passwords').waitFor()
  expect(await next.getAttribute('aria-invalid')).toBe('true')
  await next.fill('another horse battery')
  await me.button('Change the password').click()
  await me.told('Your password is changed')
  await eventually(() => sessions.getByRole('row').count()).toBe(2)
  expect(await current.inputValue()).toBe('')

  await elsewhere.page.reload()
  await elsewhere.heading('Sign in').waitFor()
  await elsewhere.signIn({ email, password: 'another horse battery' })
  expect(me.complaints()).toEqual([])
})

it('signs in with a link that was mailed, once', async () => {
  const { email } = await w.tenant()
  const { page } = me
  await page.goto('/sign-in')
  await page.getByRole('link', { name: 'Send me a link' }).click()
  // The page before asks for an address too, and is there until this one has come.
  await me.heading('Sign in with a link').waitFor()
  await page.getByLabel('E-mail', { exact: true }).fill(email)
  await me.button('Send me a link').click()
  await page.getByText('a link is on its way').waitFor()
  const link = await mailedLink(w, email, 'Your link to sign in')
  await page.goto(link)
  await me.heading('Sign in with a link').waitFor()
  await eventually(() => new URL(page.url()).hash).toBe('')
  await me.button('Sign in').click()
  await me.heading('Pipelines').waitFor()

  await elsewhere.page.goto(link)
  await elsewhere.button('Sign in').click()
  await elsewhere.page.getByRole('alert').getByText('This link cannot be used').waitFor()
  expect([...me.complaints(), ...elsewhere.complaints()]).toEqual([])
})

it('chooses a new password by mail, which ends every session', async () => {
  const tenant = await w.tenant()
  await elsewhere.signIn(tenant)
  const { page } = me
  await page.goto('/sign-in')
  await page.getByRole('link', { name: 'Forgot the password?' }).click()
  await me.heading('New password').waitFor()
  await page.getByLabel('E-mail', { exact: true }).fill(tenant.email)
  await me.button('Send me a link').click()
  await page.getByText('a link is on its way').waitFor()
  await page.goto(await mailedLink(w, tenant.email, 'Choose a new password'))
  await page.getByLabel('New password').fill('iloveyou')
  await me.button('Change the password').click()
  await page.getByText('is known from stolen lists of passwords').waitFor()
  await page.getByLabel('New password').fill('quite another horse')
  await me.button('Change the password').click()
  await page.getByText('every session has ended').waitFor()
  await page.getByRole('link', { name: 'Sign in' }).click()
  await me.signIn({ email: tenant.email, password: 'quite another horse' })
  await elsewhere.page.reload()
  await elsewhere.heading('Sign in').waitFor()
  expect(me.complaints()).toEqual([])
})

it('changes the address when the new one says so, and the old one can take that back', async () => {
  const tenant = await w.tenant()
  const next = `${crypto.randomUUID()}@example.org`
  const { page } = me
  await me.signIn(tenant, '/account')
  await page.getByLabel('New e-mail address').fill(next)
  await page.getByLabel('Your password').fill('not my password')
  await me.button('Send the link').click()
  await page.getByText('is not your password').waitFor()
  expect(await page.getByLabel('New e-mail address').inputValue()).toBe(next)
  await page.getByLabel('Your password').fill(tenant.password)
  await me.button('Send the link').click()
  await me.told(`A mail is on its way to ${next}`)

  await page.goto(await mailedLink(w, next, 'Confirm your new e-mail address'))
  await me.heading('Use this address').waitFor()
  await me.button('Use this address').click()
  await page.getByText('The address is yours from now on.').waitFor()
  await page.goto('/account')
  await page.getByRole('definition').getByText(next).waitFor()

  await elsewhere.page.goto(await mailedLink(w, tenant.email, 'Your e-mail address was changed'))
  await elsewhere.button('Undo the change').click()
  await elsewhere.page.getByText('The address is back.').waitFor()
  await page.reload()
  await me.heading('Sign in').waitFor()
  await page.goto(await mailedLink(w, tenant.email, 'Your e-mail address is back'))
  await me.heading('New password').waitFor()
  expect([...me.complaints(), ...elsewhere.complaints()]).toEqual([])
})

it('ends one session and then all the others, and keeps its own', async () => {
  const tenant = await w.tenant()
  await elsewhere.signIn(tenant)
  await me.signIn(tenant, '/account')
  const { page } = me
  const ends = page.getByRole('button', { name: /^Sign out there/ })
  await eventually(() => ends.count()).toBe(2)
  await ends.first().click()
  const dialog = page.getByRole('dialog')
  await dialog.getByRole('button', { name: 'Cancel' }).click()
  // Nothing was done, and one is where one was.
  await eventually(() => ends.first().evaluate((one) => one === document.activeElement)).toBe(true)
  await ends.first().click()
  await dialog.getByRole('button', { name: 'Sign out there' }).click()
  await me.told('The session of Chrome on Linux has ended.')
  await eventually(() => page.evaluate(() => document.activeElement?.textContent)).toContain('has ended')
  await elsewhere.page.reload()
  await elsewhere.heading('Sign in').waitFor()

  await me.confirm('Sign out everywhere else', 'Sign out everywhere else')
  await me.told('You are signed out everywhere else.')
  await eventually(() => ends.count()).toBe(0)
  await page.reload()
  await me.heading('Account').waitFor()
  expect(me.complaints()).toEqual([])
})
