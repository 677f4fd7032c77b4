import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject as given, it } from 'vitest'
import { freePort } from '#local/ports.ts'
import { leftovers, nothing } from '#test/support/ledger.ts'
import { isLongForm } from '#test/support/long-form.ts'
import { client, workerOrApp } from '#test/support/own-stack.ts'
import { connect, finished, pipeline, type RunJson } from '#test/support/pipeline.ts'
import { newTenant, type Tenant } from '#test/support/tenant.ts'

const warehouse = given('warehouse')
const secret = `s3cret-${crypto.randomUUID()}`
/** A schema of its own, in which whatever a load leaves would be seen. */
const schema = `s_${crypto.randomUUID().slice(0, 8)}`

let dir: string
let worker: Awaited<ReturnType<typeof workerOrApp>>
let pid: number
let acme: Tenant
let owner: pg.Client
let db: pg.Client
const lines: string[] = []
const shutPort = await freePort()

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'weir-bad-destination-'))
  owner = await client(given('ownerUrl'))
  db = await client(warehouse.url)
  await db.query(`create schema ${schema}; create table ${schema}.target (id integer, city integer, must text not null);
    insert into ${schema}.target values (1, 2, 'was here')`)
  worker = await workerOrApp({ env: given('env'), dir, onLine: (line) => lines.push(line) })
  pid = worker.pid()
  acme = await newTenant(worker.url, (asked) => fetch(asked))
})
afterAll(async () => {
  await worker?.stop()
  await Promise.all([owner?.end(), db?.end()])
  await rm(dir, { recursive: true, force: true })
})

async function loadInto(tenant: Tenant, connection: string, mode = 'append'): Promise<RunJson> {
  const into = `rows_${crypto.randomUUID().slice(0, 8)}`
  return finished(
    tenant,
    await pipeline(
      tenant,
      `
retry: { attempts: 2, backoff: constant, first: 50ms, jitter: false }
steps:
  - { id: rows, sql: "select n::int4 as id, 'city'::text as city from generate_series(1, 10) n", into: ${into} }
  - { id: publish, load: { from: ${into}, connection: ${connection}, table: ${schema}.target, mode: ${mode} } }`,
    ),
  )
}

async function expectRefused(run: RunJson, code: string, words: RegExp): Promise<void> {
  const publish = run.steps[1]
  expect([run.state, publish?.state, publish?.error?.code]).toEqual(['failed', 'failed', code])
  expect(publish?.error?.message).toMatch(words)
  expect(await leftovers(owner, run.id)).toEqual(nothing)
  const { rows: tables } = await db.query(
    `select relname from pg_class where relnamespace = $1::regnamespace and relkind = 'r'`,
    [schema],
  )
  expect(tables).toEqual([{ relname: 'target' }])
  expect((await db.query(`select * from ${schema}.target`)).rows).toEqual([
    { id: 1, city: 2, must: 'was here' },
  ])
}

/** Wherever somebody could read it. */
async function expectNoSecret(run: RunJson): Promise<void> {
  const events = await (await acme.fetch(`/v1/runs/${run.id}/events`)).text()
  const { rows } = await owner.query('select error, cursor from steps where run_id = $1', [run.id])
  const { rows: data } = await owner.query('select data from run_events where run_id = $1', [run.id])
  for (const text of [JSON.stringify([run, rows, data]), events, lines.join('\n')]) {
    expect(text).not.toContain(secret)
    expect(text).not.toContain(warehouse.password)
  }
}

describe('a destination that cannot take a load', () => {
  it.each(['append', 'overwrite'])(
    'because its table has other columns, is left as it was by %s',
    async (mode) => {
      await connect(acme, 'postgres', `other-${mode}`)
      const run = await loadInto(acme, `other-${mode}`, mode)
      await expectRefused(
        run,
        'schema_mismatch',
        new RegExp(`^Connection "other-${mode}", table .*target.*"must" must not be null.*"city" is integer`),
      )
      expect(run.steps[1]?.attempt).toBe(1)
    },
  )

  it.each([
    [
      'the password is wrong',
      'wrong-password',
      {},
      'wrong_password',
      /the password for user "warehouse" is wrong\.$/,
      1,
    ],
    [
      'nothing listens there',
      'shut',
      { port: shutPort },
      'connection_refused',
      /nothing accepts connections at 127\.0\.0\.1:\d+\.$/,
      2,
    ],
    [
      'there is no such host',
      'nowhere',
      { host: 'no-such-host.invalid' },
      // workerd does not tell an unknown name from a closed port.
      ...(isLongForm
        ? (['connection_refused', /nothing accepts connections at no-such-host\.invalid:\d+\.$/, 2] as const)
        : (['unknown_host', /the host of no-such-host\.invalid:\d+ is not known\.$/, 1] as const)),
    ],
    [
      'there is no such database',
      'no-database',
      { database: 'nonesuch', password: warehouse.password },
      'unknown_database',
      /"nonesuch"/,
      1,
    ],
  ] as const)(
    'because %s, says so by the name of its connection and never its secret',
    async (_, name, change, code, words, attempt) => {
      await connect(acme, 'postgres', name, { ...warehouse, password: secret, ...change })
      const run = await loadInto(acme, name)
      await expectRefused(run, code, words)
      expect(run.steps[1]?.error?.message).toMatch(new RegExp(`^Connection "${name}": `))
      expect(run.steps[1]?.attempt).toBe(attempt)
      await expectNoSecret(run)
    },
  )

  it('leaves the Worker alive', async () => {
    expect(worker.pid()).toBe(pid)
    expect((await fetch(`${worker.url}/v1/health`)).status).toBe(200)
    expect(lines.join('\n')).not.toMatch(/uncaught|unhandled/i)
  })
})

describe('a destination in a private network', () => {
  it('is refused where private addresses are not allowed, before anything is asked of it', async () => {
    const strict = await workerOrApp({
      env: { ...given('env'), ALLOW_PRIVATE_HOSTS: 'false' },
      dir: join(dir, 'strict'),
    })
    try {
      const tenant = await newTenant(strict.url, (asked) => fetch(asked))
      for (const [name, host] of [
        ['loopback', '127.0.0.1'],
        ['block', '127.9.9.9'],
        ['local', 'localhost'],
        ['mapped', '::ffff:127.0.0.1'],
        ['decimal', '2130706433'],
      ] as const) {
        await connect(tenant, 'postgres', name, { ...warehouse, host })
        const run = await loadInto(tenant, name)
        await expectRefused(
          run,
          'private_address',
          new RegExp(`^Connection "${name}": .* is in a private network`),
        )
        expect(run.steps[1]?.attempt).toBe(1)
        expect(JSON.stringify(run)).not.toContain(warehouse.password)
      }
    } finally {
      await strict.stop()
    }
  })
})
