import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { permissionsOfRole } from '#src/domain/role.ts'
import { as } from '#test/support/answers.ts'
import { signIn } from '#test/support/member.ts'
import { asker } from '#test/routes/walk/ask.ts'
import { entries } from '#test/routes/walk/entries.ts'
import { namesIn, type Walked } from '#test/routes/walk/route.ts'
import { makeThings } from '#test/routes/walk/things.ts'
import { crewOf, verdictOf } from './callers.ts'
import { accessStage, type Stage } from './stage.ts'

let stage: Stage
beforeAll(async () => {
  stage = await accessStage()
})
afterAll(() => stage.end())

const named = ({ method, path }: Walked) => `${method} ${path}`

/** Whoever does this has no session afterwards, or no tenant that answers. */
const endings = [
  'DELETE /v1/sessions',
  'DELETE /v1/sessions/current',
  'DELETE /v1/sessions/:id',
  'POST /v1/sessions/switch',
  'POST /v1/api-keys/revoke-all',
  'DELETE /v1/tenant',
  'POST /v1/tenant/suspend',
  'POST /v1/tenant/resume',
  'DELETE /v1/me',
  'POST /v1/tenant/transfer',
  'POST /v1/me/leave',
]

/** What is let through and then has a reason of its own to say no: the state of the thing, or what the walk sends. */
const otherwise: Readonly<Record<string, number>> = {
  'POST /v1/tenant/restore': 409,
  'DELETE /v1/tenant': 422,
  'DELETE /v1/me': 409,
  'POST /v1/accounts/password': 422,
  'POST /v1/accounts/email': 422,
  'POST /v1/me/factors/totp/confirm': 422,
  'POST /v1/me/factors/passkeys': 422,
  'POST /v1/me/factors/recovery-codes': 409,
  // It does not know the password.
  'POST /v1/me/step-up': 403,
  'PATCH /v1/me/factors/:id': 404,
  'DELETE /v1/me/factors/:id': 404,
  'POST /v1/me/api-keys/:id/rotate': 404,
  'DELETE /v1/me/api-keys/:id': 404,
  'PUT /v1/pipelines/:id': 409,
  'POST /v1/runs/:id/cancel': 409,
  'PATCH /v1/runs/:id': 409,
  'POST /v1/runs/:id/mark': 409,
  'POST /v1/runs/:id/steps/:step/approve': 409,
  'POST /v1/runs/:id/steps/:step/reject': 409,
  'POST /v1/runs/:id/steps/:step/mark': 409,
  'POST /v1/backfills/:id/pause': 409,
  'POST /v1/backfills/:id/resume': 409,
  'POST /v1/backfills/:id/cancel': 409,
  'POST /v1/dead-letters/:id/replay': 409,
  'PUT /v1/tenant/integrations/:kind': 422,
  'DELETE /v1/tenant/integrations/:kind': 404,
  'POST /v1/sso/domains/:domain/verify': 422,
  'DELETE /v1/sso/providers/:id/identities/:userId': 404,
  'POST /scim/v2/Users': 400,
  'PUT /scim/v2/Users/:id': 400,
  'PUT /scim/v2/Groups/:id': 409,
}

/** What makes comes first, what takes away last and the innermost before what it is in, and at the very end what ends. */
function rank(entry: Walked): number {
  if (endings.includes(named(entry))) return 100 + endings.indexOf(named(entry))
  if (entry.path === '/v1/members/former/:id/anonymise') return 60
  if (entry.method === 'DELETE') return 90 - entry.path.split('/').length
  return entry.method === 'POST' && namesIn(entry).length === 0 ? 10 : 20
}

const changing = entries
  .filter(({ method, needs }) => method !== 'GET' && needs !== 'anybody')
  .toSorted((one, other) => rank(one) - rank(other))

const join = (tenantId: string, userId: string, role: string) =>
  stage.db.query(
    'insert into memberships (tenant_id, user_id, role) values ($1, $2, $3) on conflict do nothing',
    [tenantId, userId, role],
  )

/** Each role with each way to show it, by its place in the crew. */
const places = Array.from({ length: 20 }, (_, place) => place)

describe('what changes something, by a role, a session or a key that the table of roles allows it', () => {
  it.each(places)('is done: place %i of the crew', async (place) => {
    const { here, db } = stage
    const tenant = await here.tenant()
    const crew = await crewOf(here, db, tenant)
    const caller = crew.callers[place]
    if (!caller) throw new Error('nobody is there')
    let things = await makeThings(tenant, db)
    const person = crew.people[caller.role]
    let { ask } = caller
    // People and teams are SCIM's as well: what it takes away is not to be missed by others.
    const byScim = caller.may.has('scim:write') && !caller.isPerson ? await makeThings(tenant, db) : things
    let done = 0
    const wrong: string[] = []
    for (const entry of changing.filter((one) => verdictOf(caller, one) === 'allowed')) {
      if (caller.isPerson && rank(entry) >= 100) {
        // Each end has a session of its own to end, and is a member's.
        await join(tenant.id, person.userId, caller.role === 'owner' ? 'admin' : caller.role)
        await join(tenant.id, things['member'] ?? '', 'viewer')
        const again = await signIn(here, person, tenant.id)
        ask = as(tenant, again.accessToken)
        const claims = Buffer.from(again.accessToken.split('.')[1] ?? '', 'base64url').toString()
        things = { ...things, session: (JSON.parse(claims) as { sid: string }).sid, tenant: tenant.id }
      }
      const { pathOf, initOf } = asker(entry.path.startsWith('/scim/') ? byScim : things)
      const answer = await ask(pathOf(entry), initOf(entry))
      const text = await answer.text()
      done++
      const told = otherwise[named(entry)]
      const isRight = told === undefined ? answer.ok : answer.status === told
      if (!isRight) wrong.push(`${named(entry)} ${answer.status} ${text.slice(0, 200)}`)
    }
    expect([caller.name, wrong]).toEqual([caller.name, []])
    expect(done).toBeGreaterThanOrEqual(
      permissionsOfRole(caller.role).some((one) => one.endsWith(':write')) ? 1 : 0,
    )
  })
})
