import type pg from 'pg'
import { newId } from '#src/domain/id.ts'
import { as } from '#test/support/answers.ts'
import { connect, finished, json, pipeline, upload } from '#test/support/pipeline.ts'
import type { Tenant } from '#test/support/world.ts'

/** The ids of one of everything that a tenant can have, by its kind. */
export type Things = Readonly<Record<string, string>>

/** Makes one of everything, over the API where it has a way, and by its owner in the database where time would have to pass. */
export async function makeThings(tenant: Tenant, owner: pg.Client): Promise<Things> {
  const person = as(tenant, tenant.accessToken)
  const make = async (path: string, body: unknown): Promise<string> =>
    (await json<{ id: string }>(await person(path, { method: 'POST', body }), 201)).id
  await owner.query('update users set email_verified_at = now() where id = $1', [tenant.userId])
  const suffix = crypto.randomUUID().slice(0, 8)

  const connection = await connect(tenant, 'files', `files-${suffix}`)
  await upload(tenant, connection, 'a.csv', 'a\n1\n')
  const walked = await pipeline(
    tenant,
    `triggers: [{ webhook: true }]\nsteps:\n  - { id: one, sql: select 1 as n, into: ones_${suffix} }\n`,
  )
  const run = (await finished(tenant, walked)).id
  const { items: datasets } = await json<{ items: { id: string; name: string }[] }>(
    await tenant.fetch('/v1/datasets'),
    200,
  )
  const backfill = await make(`/v1/pipelines/${walked}/backfills`, {
    from: '2026-01-01',
    to: '2026-01-02',
    by: 'day',
  })
  const webhook = await json<{ id: string }>(await tenant.fetch(`/v1/pipelines/${walked}/webhook`), 200)
  const alert = newId('alert')
  const deadLetter = newId('deadLetter')
  await owner.query(
    `insert into alerts (tenant_id, id, kind, pipeline_id, run_id) values ($1, $2, 'failed', $3, $4)`,
    [tenant.id, alert, walked, run],
  )
  await owner.query(
    `insert into dead_letters (tenant_id, id, run_id, pipeline_id, step_key, code, message, attempts) values ($1, $2, $3, $4, 'one', 'x', 'x', 1)`,
    [tenant.id, deadLetter, run, walked],
  )
  const claims = Buffer.from(tenant.accessToken.split('.')[1] ?? '', 'base64url').toString()
  const { sid: session } = JSON.parse(claims) as { sid: string }

  const [member, former] = await Promise.all([
    makePerson(owner, `member-${suffix}@acme.com`),
    makePerson(owner, `former-${suffix}@acme.com`),
  ])
  await owner.query(`insert into memberships (tenant_id, user_id, role) values ($1, $2, 'viewer')`, [
    tenant.id,
    member,
  ])
  await owner.query(
    `insert into former_members (tenant_id, user_id, role, joined_at) values ($1, $2, 'viewer', now())`,
    [tenant.id, former],
  )
  const serviceAccount = await make('/v1/service-accounts', { name: `robot-${suffix}`, role: 'viewer' })
  const apiKey = await make('/v1/api-keys', {
    name: 'robot',
    scopes: ['runs:read'],
    serviceAccountId: serviceAccount,
  })

  const team = await make('/v1/teams', { name: `team-${suffix}` })

  return {
    tenant: tenant.id,
    user: tenant.userId,
    session,
    apiKey,
    member,
    former,
    connection,
    pipeline: walked,
    run,
    dataset: datasets.find(({ name }) => name === `ones_${suffix}`)?.id ?? '',
    backfill,
    trigger: webhook.id,
    alert,
    deadLetter,
    calendar: await make('/v1/calendars', {
      name: `days-${suffix}`,
      weekdays: [6],
      include: [],
      exclude: [],
    }),
    channel: await make('/v1/channels', {
      name: `hook-${suffix}`,
      kind: 'webhook',
      config: { url: 'https://hooks.acme.com/x' },
    }),
    invitation: await make('/v1/invitations', { email: `guest-${suffix}@acme.com`, role: 'viewer' }),
    project: await make('/v1/projects', { name: `project-${suffix}` }),
    team,
    role: await make('/v1/roles', { name: `role-${suffix}`, permissions: ['runs:read'] }),
    grant: await make('/v1/grants', { subject: team, resource: walked, level: 'read' }),
    serviceAccount,
    ssoProvider: await make('/v1/sso/providers', {
      name: `login-${suffix}`,
      issuer: 'https://login.acme.com',
      clientId: 'weir',
    }),
    auditStream: await make('/v1/audit/streams', {
      name: `stream-${suffix}`,
      url: 'https://hooks.acme.com/x',
      actions: [],
    }),
    factor: newId('factor'),
    domain: await makeDomain(person, `${suffix}.acme.com`),
  }
}

async function makePerson(owner: pg.Client, email: string): Promise<string> {
  const id = newId('user')
  await owner.query('insert into users (id, email, email_verified_at) values ($1, $2, now())', [id, email])
  return id
}

async function makeDomain(person: ReturnType<typeof as>, domain: string): Promise<string> {
  await json(await person('/v1/sso/domains', { method: 'POST', body: { domain } }), 201)
  return domain
}
