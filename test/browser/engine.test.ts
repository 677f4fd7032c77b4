import type { Browser } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { connect, finished, json, pipeline, start, upload } from '#test/support/pipeline.ts'
import { until } from '#test/support/until.ts'
import type { Tenant, World } from '#test/support/world.ts'
import { launchChromium } from './chromium.ts'
import { faultsOf } from './inspect.ts'
import { eventually, newMember, peopledWorld, person, type Person } from './people.ts'

let browser: Browser
let w: World
let tenant: Tenant
let files: string
/** The tenant's owner, signed in. */
let me: Person
/** Somebody else, at a browser of their own. */
let other: Person
/** While it is set, nothing wakes the runs that are started. */
let held: { free: Promise<void>; release: () => void } | undefined

beforeAll(async () => {
  ;[browser, w] = await Promise.all([
    launchChromium(),
    peopledWorld((services) => ({
      ...services,
      async send(tenantId, messages) {
        await held?.free
        await services.send(tenantId, messages)
      },
    })),
  ])
  ;[tenant, me, other] = await Promise.all([w.tenant(), person(browser, w.url), person(browser, w.url)])
  ;[files] = await Promise.all([connect(tenant, 'files', 'uploads'), w.verify(tenant), me.signIn(tenant)])
})

afterAll(async () => {
  await browser?.close()
  await w?.close()
})

afterEach(() => {
  held?.release()
  held = undefined
})

function holdRuns() {
  let release = () => {}
  const free = new Promise<void>((resolve) => {
    release = resolve
  })
  held = { free, release }
}

/** Its second step fails until the file that it reads is there. */
const reading = (file: string) => `description: Reads ${file}.
steps:
  - { id: numbers, sql: "select * from (values (1), (2)) as v(n)", into: numbers_of_${file} }
  - id: read
    extract: { connection: uploads, stream: ${file}.csv }
    into: rows_of_${file}
    after: [numbers]
    retry: { attempts: 1 }
`
const asking = (message: string) => `steps:
  - { id: publish, wait: { approval: { message: "${message}", roles: [owner] }, within: 1h } }
`

const askingOfEach = `steps:
  - id: each
    map:
      over: [a, b]
      as: letter
      atOnce: 2
      steps: [{ id: ok, wait: { approval: { message: "Publish \${letter}?" } } }]
`

/** What they have in the tenant, by an API key. */
const items = <T = unknown>(path: string) =>
  tenant
    .fetch(path)
    .then((answer) => json<{ items: ({ id: string } & T)[] }>(answer, 200))
    .then((found) => found.items)

const dialog = () => me.page.getByRole('dialog')
/** The state of what the page is about. */
const standing = (state: string, who = me) => who.page.locator('main output').first().getByText(state)

const approvalsWait = (count: number) =>
  until(`${count} approvals to wait`, async () => (await items('/v1/approvals')).length === count)

it('does a failed run again from what failed, and sees it end well; a step tells why it failed', async () => {
  const { page } = me
  const failed = await finished(tenant, await pipeline(tenant, reading('late'), 'late'))
  await upload(tenant, files, 'late.csv', 'a\n1\n')
  await page.goto(`/runs/${failed.id}`)
  await page.getByRole('alert').getByText('late.csv').waitFor()
  await page.getByRole('link', { name: 'read', exact: true }).click()
  const step = page.getByRole('region', { name: 'Step read' })
  await step.getByText('Failed', { exact: true }).waitFor()
  await eventually(() => page.evaluate(() => document.activeElement?.textContent)).toBe('Step read')
  await page.getByRole('heading', { name: 'Log of read' }).waitFor()
  await page.getByText('Everything that happened').click()
  await page.getByText('the run has failed').waitFor()

  await me.button('Run again').click()
  expect(await dialog().getByLabel('What').inputValue()).toBe('failed')
  await dialog().getByLabel('Why').fill('The file is there by now.')
  await dialog().getByRole('button', { name: 'Start it' }).click()
  await page.getByText(`run …${failed.id.slice(-8)}`).waitFor()
  await standing('succeeded').waitFor()
  await page.getByText('2 of 2 steps done').waitFor()
  await page.getByRole('link', { name: 'numbers', exact: true }).click()
  await page
    .getByRole('definition')
    .getByRole('link', { name: `…${failed.id.slice(-8)}`, exact: true })
    .waitFor()
  await page.getByText('What it gave').click()
  await page.getByText('Nothing but its rows.').waitFor()
  expect(me.complaints()).toEqual([])
})

it('approves on the page of all that waits, and rejects on that of the run', async () => {
  const { page } = me
  const [prices, names] = await Promise.all([
    start(tenant, await pipeline(tenant, asking('Publish the prices?'), 'prices')),
    start(tenant, await pipeline(tenant, asking('Publish the names?'), 'names')),
  ])
  await approvalsWait(2)
  await page.goto('/pipelines')
  await page.getByRole('link', { name: 'Attention' }).click()
  await me.heading('Approvals').waitFor()
  const row = page.getByRole('row', { name: 'Publish the prices?' })
  await row.waitFor()
  await me.button('Approve publish of prices').click()
  await dialog().getByLabel('Comment').fill('They are right.')
  await dialog().getByRole('button', { name: 'Approve' }).click()
  await me.told('publish of prices is approved.')
  expect(await row.count()).toBe(0)

  await page.goto(`/runs/${names}`)
  await page.getByText('Publish the names?').first().waitFor()
  await page.getByText('Without it the step fails at').waitFor()
  await me.button('Reject publish').click()
  await dialog().getByLabel('Comment').fill('They are not ours.')
  await dialog().getByRole('button', { name: 'Reject' }).click()
  await me.told('publish is rejected.')
  await page.getByRole('alert').getByText('They are not ours.').waitFor()
  await standing('failed').waitFor()
  await page.goto(`/runs/${prices}`)
  await standing('succeeded').waitFor()

  const each = await start(tenant, await pipeline(tenant, askingOfEach, 'letters'))
  await approvalsWait(2)
  await page.goto(`/runs/${each}?step=each`)
  await page.getByText('2 of its 2 items').waitFor()
  for (const number of [2, 1]) {
    await page.getByRole('row', { name: `Publish ${'ab'[number - 1]}?` }).waitFor()
    await me.confirm(`Approve each (item ${number})`, 'Approve')
    await me.told(`each (item ${number}) is approved.`)
  }
  await standing('succeeded').waitFor()
  expect(me.complaints()).toEqual([])
})

it('marks what is under way: a step, and a run; and cancels another', async () => {
  const { page } = me
  const id = await pipeline(tenant, 'steps: [{ id: hold, wait: { for: 1h } }]\n', 'holding')
  const [marked, ended, cancelled] = await Promise.all([1, 2, 3].map(() => start(tenant, id)))
  await page.goto(`/runs/${marked}?step=hold`)
  await page.getByText('its time, or what it looks for').waitFor()
  await page.getByRole('term').getByText('Until').waitFor()
  await me.button('Mark this step').click()
  await dialog().getByLabel('As').selectOption('succeeded')
  await dialog().getByLabel('Why').fill('It has happened already.')
  await dialog().getByRole('button', { name: 'Mark it' }).click()
  await me.told('The step hold is marked.')
  await standing('succeeded').waitFor()

  await page.goto(`/runs/${ended}`)
  await me.button('Mark this run').click()
  await dialog().getByLabel('As').selectOption('failed')
  await dialog().getByLabel('Why').fill('Nobody wants it.')
  await dialog().getByRole('button', { name: 'Mark it' }).click()
  await standing('failed').waitFor()

  await page.goto(`/runs/${cancelled}`)
  await me.button('Cancel this run').click()
  await dialog().getByRole('button', { name: 'Let it go on' }).click()
  await standing('waiting').waitFor()
  await me.confirm('Cancel this run', 'Cancel the run')
  await standing('cancelled').waitFor()
  expect(me.complaints()).toEqual([])
})

it('starts a backfill, pauses it, lets it go on and sees it done', async () => {
  const { page } = me
  const filling = 'steps: [{ id: one, sql: "select 1 as n", into: filled }]\n'
  const id = await pipeline(tenant, filling, 'filling')
  await page.goto(`/pipelines/${id}`)
  await page.getByRole('link', { name: 'Start a backfill' }).click()
  await me.heading('Start a backfill').waitFor()
  await page.getByLabel('From', { exact: true }).fill('2026-03-03')
  await page.getByLabel('To', { exact: true }).fill('2026-03-01')
  await me.button('Start it').click()
  await page.getByText('must not be before').waitFor()
  await page.getByLabel('To', { exact: true }).fill('2026-03-05')
  holdRuns()
  await me.button('Start it').click()
  await me.heading(/^Backfill …/).waitFor()
  await page.getByText('0 of 3 done, 3 left').waitFor()
  await me.button('Pause').click()
  await me.told('It is paused')
  held?.release()
  await page.getByText('1 of 3 done, 2 left').waitFor()
  await standing('paused').waitFor()
  await me.button('Resume').click()
  await standing('finished').waitFor()
  await page.getByText('3 of 3 done').waitFor()
  await page.getByRole('link', { name: 'Backfills' }).click()
  await page.getByRole('row', { name: '2026-03-03 to 2026-03-05 filling' }).waitFor()
  expect(me.complaints()).toEqual([])
})

it('replays dead letters and dismisses one, and resolves the alert about it', async () => {
  const { page } = other
  const own = await w.tenant()
  const uploads = await connect(own, 'files', 'uploads')
  for (const name of ['first', 'second', 'third'])
    await finished(own, await pipeline(own, reading(name), name))
  for (const name of ['first', 'second']) await upload(own, uploads, `${name}.csv`, 'a\n1\n')
  await other.signIn(own, '/dead-letters')
  const rows = page.getByRole('row').filter({ has: page.getByRole('checkbox') })
  await eventually(() => rows.count()).toBe(3)
  await rows.filter({ hasText: 'first' }).getByRole('link', { name: 'read' }).click()
  await other.heading(/^Dead letter …/).waitFor()
  await other.confirm('Replay', 'Replay')
  await other.told('The run is started again as')
  await page.getByRole('link', { name: /^run …/ }).click()
  await standing('succeeded', other).waitFor()

  await page.goto('/dead-letters')
  await page.getByLabel('Choose read of third').check()
  await other.confirm('Dismiss chosen', 'Dismiss')
  await other.told('1 dead letter is dismissed.')
  await other.confirm('Replay all that fit', 'Replay all')
  await other.told('1 run is started again.')
  await page.getByText('There is no open dead letter.').waitFor()
  await page.getByLabel('State').selectOption('dismissed')
  await page.getByRole('row', { name: /^read third/ }).waitFor()

  await page.getByRole('link', { name: 'Alerts' }).click()
  await page.getByRole('row', { name: /^third failed at read: .*third\.csv/ }).waitFor()
  await other.button('Resolve the alert about third').click()
  await other.told('The alert about third is resolved.')
  await eventually(() => page.getByRole('row', { name: /^third failed/ }).count()).toBe(0)
  await page.getByLabel('State').selectOption('any')
  await page
    .getByRole('row', { name: /^third failed/ })
    .getByText(`by ${own.email}`)
    .waitFor()
  await page
    .getByRole('row', { name: /^first succeeded again/ })
    .getByText('by itself')
    .waitFor()
  await other.signOut()
  expect(other.complaints()).toEqual([])
})

it('pauses a pipeline and lets it go on, and says what starts it and when', async () => {
  const { page } = me
  const id = await pipeline(
    tenant,
    `triggers:
  - { cron: "15 6 * * 1-5", timezone: Europe/Berlin }
  - { pipeline: prices, on: [failed] }
steps: [{ id: one, sql: "select 1 as n", into: scheduled }]
`,
    'scheduled',
  )
  await page.goto(`/pipelines/${id}`)
  const row = page.getByRole('row', { name: '15 6 * * 1-5' })
  await row.getByRole('cell', { name: 'Europe/Berlin' }).waitFor()
  expect(await row.locator('time').innerText()).toMatch(/:15:00 /)
  await page.getByText('the pipeline prices when it has failed').waitFor()
  await me.button('Pause').click()
  await dialog().getByLabel('Why').fill('The source moves.')
  await dialog().getByRole('button', { name: 'Pause it' }).click()
  await me.told('scheduled is paused.')
  await page
    .getByRole('region', { name: 'Paused' })
    .getByText(`by ${tenant.email}: The source moves.`)
    .waitFor()
  await me.button('Resume').click()
  await me.told('scheduled goes on')
  expect(await me.button('Pause').count()).toBe(1)
  expect(me.complaints()).toEqual([])
})

it('shows no button to who may only read, and another tenant nothing', async () => {
  const { page } = other
  const rest = await pipeline(tenant, asking('Publish the rest?'), 'rest')
  const waiting = await start(tenant, rest)
  const id = await pipeline(tenant, reading('never'), 'never')
  const failed = await finished(tenant, id)
  await approvalsWait(1)
  const viewer = await newMember(w, tenant, 'viewer')
  const [letter] = await items('/v1/dead-letters?state=open')
  const [backfill] = await items('/v1/backfills')
  const own = `main :is(button, input[type='checkbox']):not(search *)`
  const pages = {
    '/approvals': 'for an owner to decide',
    [`/runs/${waiting}`]: 'for an owner to decide',
    [`/runs/${failed.id}?step=read`]: 'Step read',
    '/dead-letters': 'never.csv',
    [`/dead-letters/${letter?.id}`]: 'never.csv',
    '/alerts': 'never failed',
    [`/pipelines/${id}`]: 'Nothing starts it by itself.',
    [`/backfills/${backfill?.id}`]: '3 of 3 done',
    '/backfills/new': 'Your role does not allow this',
  }
  await other.signIn(viewer)
  for (const [path, text] of Object.entries(pages)) {
    await page.goto(path)
    await page.getByText(text).first().waitFor()
    expect(await page.locator(own).allInnerTexts(), path).toEqual([])
  }

  // A grant on the pipeline lets them run just that.
  const found = await items<{ email: string }>('/v1/members')
  const subject = found.find(({ email }) => email === viewer.email)?.id
  const given = { subject, resource: id, level: 'run' }
  await json(await tenant.fetch('/v1/grants', { method: 'POST', body: given }), 201)
  await page.goto(`/pipelines/${id}`)
  await other.button('Run now').waitFor()
  await page.goto(`/pipelines/${rest}`)
  await page.getByText('Nothing starts it by itself.').waitFor()
  expect(await page.locator(own).allInnerTexts()).toEqual([])

  await other.signOut()
  await other.signIn(await w.tenant())
  const empty = {
    '/approvals': 'Nothing waits for approval.',
    '/dead-letters': 'There is no open dead letter.',
    '/alerts': 'no alert is open',
    '/backfills': 'There is no backfill yet.',
    [`/runs/${failed.id}`]: 'There is no such run',
    [`/dead-letters/${letter?.id}`]: 'There is no such dead letter',
    [`/backfills/${backfill?.id}`]: 'There is no such backfill',
  }
  for (const [path, text] of Object.entries(empty)) {
    await page.goto(path)
    await page.getByText(text).waitFor()
  }
  expect(other.complaints()).toEqual([])
})

it('can be used by who does not see it, in windows of every width, by day and by night', async () => {
  const { page } = me
  const [[letter], [backfill], [run], [waiting], [scheduled]] = await Promise.all([
    items('/v1/dead-letters?state=open'),
    items('/v1/backfills'),
    items('/v1/runs?state=failed'),
    items('/v1/runs?state=waiting'),
    items<{ name: string }>('/v1/pipelines').then((found) =>
      found.filter(({ name }) => name === 'scheduled'),
    ),
  ])
  const pages = {
    '/approvals': 'Publish the rest?',
    [`/runs/${waiting?.id}`]: 'Publish the rest?',
    [`/runs/${run?.id}?step=read`]: 'Log of read',
    '/dead-letters': 'never.csv',
    [`/dead-letters/${letter?.id}`]: 'What happened to the step',
    '/alerts': 'never failed',
    [`/pipelines/${scheduled?.id}`]: 'What starts it',
    '/backfills': '2026-03-03 to 2026-03-05',
    [`/backfills/${backfill?.id}`]: '3 of 3 done',
    [`/backfills/new?pipelineId=${scheduled?.id}`]: 'Runs at once',
  }
  const looks = [
    [360, 'dark'],
    [1400, 'light'],
  ] as const
  for (const [path, text] of Object.entries(pages)) {
    await page.goto(path)
    await page.getByText(text).first().waitFor()
    for (const [width, colorScheme] of looks) {
      await page.setViewportSize({ width, height: 800 })
      await page.emulateMedia({ colorScheme })
      expect(await faultsOf(page), `${path} at ${width}`).toEqual([])
    }
  }
  await page.goto(`/runs/${run?.id}`)
  await me.button('Run again').click()
  await dialog().waitFor()
  expect(await faultsOf(page)).toEqual([])
  expect(me.complaints()).toEqual([])
})
