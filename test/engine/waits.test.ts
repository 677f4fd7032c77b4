import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { client, pool } from '#test/support/own-stack.ts'
import {
  connect,
  end,
  finished,
  json,
  pipeline,
  readRun,
  start,
  upload,
  warehouseTable,
} from '#test/support/pipeline.ts'
import { stepRow } from '#test/support/steps.ts'
import { until } from '#test/support/until.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'

let here: World
let acme: Tenant
let globex: Tenant
let owner: pg.Pool
let warehouse: pg.Client
let files: string

beforeAll(async () => {
  here = await world()
  ;[acme, globex] = await Promise.all([here.tenant(), here.tenant()])
  owner = pool(inject('ownerUrl'))
  warehouse = await client(inject('warehouse').url)
  files = await connect(acme, 'files', 'bucket')
  await connect(globex, 'files', 'bucket')
  await connect(acme, 'postgres', 'wh')
})
afterAll(async () => {
  await Promise.all([owner.end(), warehouse.end()])
  await here.close()
})

const waits = (wait: string, rest = '') => `
parameters: { at: { type: text, default: "2001-01-01T00:00:00Z" } }
${rest}
steps:
  - { id: hold, wait: ${wait} }`

const looked = (runId: string, times: number) =>
  until(`${times} looks`, async () => {
    const { rows } = await owner.query<{ n: number }>(
      `select count(*)::int as n from run_events where run_id = $1 and step_key = 'hold' and type = 'step.waiting'`,
      [runId],
    )
    return (rows[0]?.n ?? 0) >= times
  })
const held = (runId: string) => stepRow(owner, runId, 'hold')
const waitingFor = (runId: string) =>
  until('the step to wait', async () => (await held(runId)).state === 'waiting' && held(runId))

describe('a wait until a time', () => {
  it('is over at the time, and at once when that has passed', async () => {
    const soon = new Date(Date.now() + 1_500).toISOString()
    const run = await finished(acme, await pipeline(acme, waits(`{ until: "${soon}" }`)))
    expect(run.state).toBe('succeeded')
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(soon))
    const past = await finished(acme, await pipeline(acme, waits('{ until: "${params.at}" }')))
    expect(past.state).toBe('succeeded')
  })

  it('takes a time of the day that the run stands for, in its zone', async () => {
    const runs = await Promise.all(
      [
        ['00:00', 'Pacific/Kiritimati'],
        ['00:00', 'UTC'],
      ].map(async ([time, timezone]) =>
        finished(acme, await pipeline(acme, waits(`{ until: "${time}", timezone: ${timezone} }`))),
      ),
    )
    expect(runs.map(({ state }) => state)).toEqual(['succeeded', 'succeeded'])
    // Whatever the hour is here, it is not the last minute of the day there.
    const isEarly = new Date().getUTCHours() < 18
    const [zone, at] = isEarly ? ['UTC', 'T23:59:00'] : ['Etc/GMT+12', 'T11:59:00']
    const runId = await start(acme, await pipeline(acme, waits(`{ until: "23:59", timezone: ${zone} }`)))
    await waitingFor(runId)
    const { rows } = await owner.query<{ at: Date }>(
      `select next_attempt_at as at from steps where run_id = $1`,
      [runId],
    )
    expect(rows[0]?.at.toISOString()).toContain(at)
  })

  it('fails in words when a template gives no time', async () => {
    const id = await pipeline(acme, waits('{ until: "${params.at}" }'))
    const run = await finished(acme, id, { at: 'tomorrow' })
    expect(run.steps[0]?.error).toMatchObject({
      code: 'bad_time',
      message: expect.stringContaining('tomorrow'),
    })
  })
})

describe('a sensor', () => {
  it('sees a new object below its prefix, none from before and none of another tenant', async () => {
    await upload(acme, files, 'in-old.csv', 'a\n1\n')
    // Times of objects are whole seconds: the run begins in a later one.
    await new Promise((resolve) => setTimeout(resolve, 1_100))
    const id = await pipeline(
      acme,
      waits('{ object: { connection: bucket, prefix: "in-" }, every: 1s, within: 1m }'),
    )
    const runId = await start(acme, id)
    await upload(acme, files, 'other.csv', 'a\n1\n')
    const theirs = await globex
      .fetch('/v1/connections')
      .then((r) => r.json() as Promise<{ items: { id: string }[] }>)
    await upload(globex, theirs.items[0]?.id ?? '', 'in-theirs.csv', 'a\n1\n')
    await looked(runId, 2)
    expect((await held(runId)).state).toBe('waiting')
    await upload(acme, files, 'in-new.csv', 'a\n22\n')
    expect((await end(acme, runId)).state).toBe('succeeded')
    expect((await held(runId)).output).toMatchObject({ key: 'in-new.csv', bytes: 5 })
  })

  it('asks datasets in SQL, with the parameters of the run, until the first column is true', async () => {
    const id = await pipeline(
      acme,
      `
parameters: { least: { type: integer, default: 3 } }
steps:
  - { id: hold, wait: { sql: "select count(*) >= \${params.least} from sensed", every: 1s, within: 1m } }`,
    )
    const runId = await start(acme, id)
    await looked(runId, 1)
    await finished(
      acme,
      await pipeline(acme, `steps: [{ id: a, sql: "select * from generate_series(1, 2) n", into: sensed }]`),
    )
    await looked(runId, 3)
    expect((await held(runId)).state).toBe('waiting')
    await finished(
      acme,
      await pipeline(acme, `steps: [{ id: a, sql: "select * from generate_series(1, 3) n", into: sensed }]`),
    )
    expect((await end(acme, runId)).state).toBe('succeeded')
  })

  it('asks a connection in SQL, where it can write nothing', async () => {
    const table = warehouseTable()
    await warehouse.query(`create table ${table} (n integer)`)
    const asks = (sql: string) =>
      pipeline(
        acme,
        waits(
          `{ sql: ${JSON.stringify(sql)}, connection: wh, every: 1s, within: 1m }`,
          'retry: { attempts: 1 }',
        ),
      )
    const runId = await start(acme, await asks(`select count(*) from ${table} -- all of it`))
    await looked(runId, 1)
    for (const attack of [
      `select 1) x where $1 = 1; drop table ${table}; select * from (select 1`,
      `with gone as (delete from ${table} returning 1) select 1 from gone`,
      `select nextval('${table}_s')`,
    ]) {
      await warehouse.query(`create sequence if not exists ${table}_s`)
      const saved = await asks(attack).catch(() => undefined)
      if (saved) expect((await finished(acme, saved)).state).toBe('failed')
    }
    await warehouse.query(`insert into ${table} values (1)`)
    expect((await end(acme, runId)).state).toBe('succeeded')
    expect((await held(runId)).output).toMatchObject({ value: '1' })
    const { rows } = await warehouse.query<{ last: string; called: boolean }>(
      `select last_value as last, is_called as called from ${table}_s`,
    )
    expect(rows[0]).toEqual({ last: '1', called: false })
  })

  it('sees that a dataset is fresh, and that another pipeline has run', async () => {
    const name = `fed-${crypto.randomUUID().slice(0, 8)}`
    const feed = await pipeline(acme, `steps: [{ id: a, sql: "select 1 as n", into: freshly }]`, name)
    const broken = await pipeline(
      acme,
      `steps: [{ id: a, sql: "select 1 / 0 as n", into: never }]`,
      `${name}-broken`,
    )
    const [dataset, run, other] = await Promise.all([
      start(
        acme,
        await pipeline(acme, waits('{ dataset: freshly, updatedWithin: 1h, every: 1s, within: 1m }')),
      ),
      start(acme, await pipeline(acme, waits(`{ run: ${name}, finishedWithin: 1h, every: 1s, within: 1m }`))),
      start(
        acme,
        await pipeline(acme, waits(`{ run: ${name}-broken, finishedWithin: 1h, every: 1s, within: 3s }`)),
      ),
    ])
    await Promise.all([dataset, run, other].map((runId) => looked(runId, 1)))
    const [fed] = await Promise.all([finished(acme, feed), finished(acme, broken)])
    expect((await end(acme, dataset)).state).toBe('succeeded')
    expect((await end(acme, run)).state).toBe('succeeded')
    expect((await held(run)).output).toEqual({ runId: fed.id, state: 'succeeded' })
    expect((await held(dataset)).output).toMatchObject({ versionId: expect.stringMatching(/^dsv_/) })
    expect((await end(acme, other)).steps[0]?.error?.code).toBe('timeout')
  })

  it('does not see what is too old', async () => {
    const { rowCount } = await owner.query(
      `update dataset_versions set ready_at = now() - interval '2 hours' where tenant_id = $1 and id in
         (select current_version_id from datasets where tenant_id = $1 and name = 'freshly')`,
      [acme.id],
    )
    expect(rowCount).toBe(1)
    const id = await pipeline(acme, waits('{ dataset: freshly, updatedWithin: 1h, every: 1s, within: 2s }'))
    const run = await finished(acme, id)
    expect(run.steps[0]?.error).toMatchObject({ code: 'timeout' })
  })

  it('outlives that its connection is away, and says so when it has waited in vain', async () => {
    const { host, port, database, user, password } = inject('warehouse')
    await connect(acme, 'postgres', 'away', { host, port: 9, database, user, password })
    expect(port).not.toBe(9)
    const id = await pipeline(
      acme,
      waits('{ sql: "select 1", connection: away, every: 1s, within: 3s }', 'retry: { attempts: 1 }'),
    )
    const run = await finished(acme, id)
    expect(run.steps[0]).toMatchObject({ attempt: 1, error: { code: 'timeout' } })
    expect(run.steps[0]?.error?.message).toContain('away')
    const { rows } = await owner.query<{ n: number }>(
      `select count(*)::int as n from run_events where run_id = $1 and type = 'step.waiting'`,
      [run.id],
    )
    expect(rows[0]?.n).toBeGreaterThanOrEqual(2)
  })

  it('fails at once where it can never see anything', async () => {
    const runs = await Promise.all(
      [
        '{ object: { connection: wh, prefix: "x" }, every: 1s }',
        '{ sql: "select 1", connection: bucket, every: 1s }',
      ].map(async (wait) => finished(acme, await pipeline(acme, waits(wait)))),
    )
    expect(runs.map(({ steps }) => steps[0]?.error?.code)).toEqual(['not_files', 'not_a_database'])
  })
})

describe('a wait for approval', () => {
  const approval = (rest = '') =>
    waits(`{ approval: { message: "Publish \${params.at}?", roles: [owner] }${rest} }`)
  const decide = (tenant: Tenant, runId: string, what: string, body: unknown = {}) =>
    tenant.fetch(`/v1/runs/${runId}/steps/hold/${what}`, { method: 'POST', body })

  it('goes on when somebody approves, and says who and why', async () => {
    const runId = await start(acme, await pipeline(acme, approval()))
    const { cursor } = await waitingFor(runId)
    const approves = { approval: { message: 'Publish 2001-01-01T00:00:00Z?', roles: ['owner'] } }
    expect(cursor).toEqual(approves)
    expect((await readRun(acme, runId)).steps[0]).toMatchObject({ waitsFor: approves })
    const decided = await decide(acme, runId, 'approve', { comment: 'looks good' })
    expect(decided.status).toBe(200)
    expect((await end(acme, runId)).state).toBe('succeeded')
    expect((await held(runId)).output).toEqual({
      approved: true,
      by: expect.stringMatching(/^key_/),
      comment: 'looks good',
    })
    expect((await decide(acme, runId, 'reject')).status).toBe(409)
  })

  it('is asked for each item of a map', async () => {
    const id = await pipeline(
      acme,
      `
steps:
  - id: all
    map:
      over: [north, south]
      steps: [{ id: ok, wait: { approval: { message: "Ship \${item}?" } } }]`,
    )
    const runId = await start(acme, id)
    type Waiting = { waitsFor?: { item: number; approval: { message: string } } }
    const waitsFor = await until('both items to wait', async () => {
      const asked = await acme.fetch(`/v1/runs/${runId}/steps/all/items?state=waiting`)
      const { items } = await json<{ items: Waiting[] }>(asked, 200)
      const found = items.flatMap((item) => item.waitsFor ?? [])
      return found.length === 2 && found
    })
    expect((await readRun(acme, runId)).steps).toMatchObject([{ key: 'all', items: { total: 2, open: 2 } }])
    expect(waitsFor.map(({ item, approval }) => [item, approval.message])).toEqual([
      [1, 'Ship north?'],
      [2, 'Ship south?'],
    ])
    for (const { item } of waitsFor) {
      const decided = await acme.fetch(`/v1/runs/${runId}/steps/all/approve`, {
        method: 'POST',
        body: { item },
      })
      expect(decided.status).toBe(200)
    }
    expect((await end(acme, runId)).state).toBe('succeeded')
  })

  it('fails when somebody rejects it, and is not tried again', async () => {
    const runId = await start(acme, await pipeline(acme, approval()))
    await waitingFor(runId)
    expect((await decide(acme, runId, 'reject', { comment: 'wrong day' })).status).toBe(200)
    const run = await end(acme, runId)
    expect(run.steps[0]).toMatchObject({
      attempt: 1,
      error: { code: 'rejected', message: expect.stringContaining('wrong day') },
    })
  })

  it('is decided once when many decide at once', async () => {
    const runId = await start(acme, await pipeline(acme, approval()))
    await waitingFor(runId)
    const answers = await Promise.all(
      Array.from({ length: 6 }, (_, i) => decide(acme, runId, i % 2 ? 'approve' : 'reject')),
    )
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([
      200, 409, 409, 409, 409, 409,
    ])
    const approved = answers.findIndex(({ status }) => status === 200) % 2 === 1
    expect((await end(acme, runId)).state).toBe(approved ? 'succeeded' : 'failed')
  })

  it('is over after its time', async () => {
    const run = await finished(acme, await pipeline(acme, approval(', within: 1s')))
    expect(run.steps[0]?.error?.code).toBe('timeout')
    expect((await decide(acme, run.id, 'approve')).status).toBe(409)
  })

  it('is decided by the roles that it names, and never by another tenant or who may only read', async () => {
    const runId = await start(acme, await pipeline(acme, approval()))
    await waitingFor(runId)
    expect((await decide(globex, runId, 'approve')).status).toBe(404)
    expect((await acme.fetch(`/v1/runs/${runId}/steps/other/approve`, { method: 'POST' })).status).toBe(404)
    const made = await acme.fetch('/v1/api-keys', {
      method: 'POST',
      body: { name: 'reader', scopes: ['runs:read'] },
    })
    const { key } = (await made.json()) as { key: string }
    const asReader = await acme.fetch(`/v1/runs/${runId}/steps/hold/approve`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${key}` },
    })
    expect(asReader.status).toBe(403)
    const asPerson = (role: string) =>
      owner
        .query(`update memberships set role = $3 where tenant_id = $1 and user_id = $2`, [
          acme.id,
          acme.userId,
          role,
        ])
        .then(() =>
          here.app.request(
            '/v1/sessions',
            {
              method: 'POST',
              headers: { 'Content-Type': 'application/json' },
              body: JSON.stringify({ email: acme.email, password: acme.password }),
            },
            { address: `198.18.0.${Math.floor(Math.random() * 250)}` },
          ),
        )
        .then(async (signedIn) => {
          const { accessToken } = (await signedIn.json()) as { accessToken: string }
          return acme.fetch(`/v1/runs/${runId}/steps/hold/approve`, {
            method: 'POST',
            headers: { Authorization: `Bearer ${accessToken}` },
          })
        })
    try {
      const operator = await asPerson('operator')
      expect(operator.status).toBe(403)
      expect(await operator.json()).toMatchObject({ detail: expect.stringContaining('owner') })
      expect((await held(runId)).state).toBe('waiting')
    } finally {
      await owner.query(`update memberships set role = 'owner' where tenant_id = $1`, [acme.id])
    }
    expect((await asPerson('owner')).status).toBe(200)
    expect((await end(acme, runId)).state).toBe('succeeded')
    expect((await held(runId)).output?.['by']).toBe(acme.userId)
  })

  it('is neither given by a key whose owner has none of the roles, nor gone around by a mark', async () => {
    const made = await acme.fetch('/v1/service-accounts', {
      method: 'POST',
      body: { name: `op-${crypto.randomUUID().slice(0, 8)}`, role: 'operator' },
    })
    const { id: serviceAccountId } = await json<{ id: string }>(made, 201)
    const asked = await acme.fetch('/v1/api-keys', {
      method: 'POST',
      body: { name: 'machine', serviceAccountId, scopes: ['runs:read', 'runs:write'] },
    })
    const { key } = await json<{ key: string }>(asked, 201)
    const asMachine = (path: string, body: object = {}) =>
      acme.fetch(path, { method: 'POST', body, headers: { Authorization: `Bearer ${key}` } })
    const item = `
steps:
  - id: hold
    map: { over: [1], steps: [{ id: ok, wait: { approval: { roles: [owner] } } }] }`
    for (const [source, place] of [
      [approval(), {}],
      [item, { item: 1 }],
    ] as const) {
      const runId = await start(acme, await pipeline(acme, source))
      await until('somebody to be asked', async () => {
        const { rows } = await owner.query(
          `select 1 from steps where run_id = $1 and state = 'waiting' and coalesce(cursor->'inner', cursor) ? 'approval'`,
          [runId],
        )
        return rows.length > 0
      })
      const step = `/v1/runs/${runId}/steps/hold`
      expect((await asMachine(`${step}/approve`, place)).status).toBe(403)
      expect((await asMachine(`${step}/mark`, { as: 'succeeded', reason: 'why not' })).status).toBe(403)
      expect((await asMachine(`/v1/runs/${runId}/mark`, { as: 'succeeded', reason: 'why not' })).status).toBe(
        403,
      )
      expect((await decide(acme, runId, 'approve', place)).status).toBe(200)
      expect((await end(acme, runId)).state).toBe('succeeded')
    }
    // Nor before anybody is asked: a run of a paused pipeline is not begun.
    const paused = await pipeline(acme, approval())
    expect((await acme.fetch(`/v1/pipelines/${paused}/pause`, { method: 'POST', body: {} })).status).toBe(200)
    const queued = await start(acme, paused)
    const step = `/v1/runs/${queued}/steps/hold/mark`
    for (const path of [step, `/v1/runs/${queued}/mark`])
      expect((await asMachine(path, { as: 'succeeded', reason: 'why not' })).status).toBe(403)
    const byOwner = { method: 'POST', body: { as: 'succeeded', reason: 'so it is' } }
    expect((await acme.fetch(step, byOwner)).status).toBe(200)
  })
})
