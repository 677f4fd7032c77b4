import { beforeAll, describe, expect, it } from 'vitest'
import { grantable } from '#src/domain/access.ts'
import { permissions, type Permission } from '#src/domain/role.ts'
import { as, keyFor } from '#test/support/answers.ts'
import { member, type Person } from '#test/support/member.ts'
import { json } from '#test/support/pipeline.ts'
import { asker } from '#test/routes/walk/ask.ts'
import { entries } from '#test/routes/walk/entries.ts'
import { route, type Walked } from '#test/routes/walk/route.ts'
import { makeThings, type Things } from '#test/routes/walk/things.ts'
import type { Tenant } from '#test/support/world.ts'
import type { Ask } from './callers.ts'
import type { Stage } from './stage.ts'

/** One change for each permission to change something; what reads is asked whole. */
const changes: Record<Exclude<Permission, `${string}:read`>, string | Walked> = {
  'tenant:write': 'PATCH /v1/tenant',
  'limits:write': route('PATCH', '/v1/tenant', 'limits:write', { body: { concurrency: 9 } }),
  'members:write': 'POST /v1/teams',
  'api-keys:write': 'PATCH /v1/service-accounts/:id',
  'projects:write': 'POST /v1/projects',
  'access:write': 'POST /v1/roles',
  'sso:write': 'POST /v1/sso/domains',
  'scim:write': 'PATCH /scim/v2/Groups/:id',
  'privacy:write': 'POST /v1/members/former/:id/anonymise',
  'connections:write': 'POST /v1/connections',
  'datasets:write': route('POST', '/v1/projects/:id/resources', 'datasets:write', {
    also: ['projects:read'],
    body: { kind: 'dataset', id: ':dataset' },
  }),
  'pipelines:write': 'POST /v1/calendars',
  'runs:write': 'POST /v1/runs',
}

const named = ({ method, path }: Walked) => `${method} ${path}`
function asked(permission: Permission): Walked[] {
  const reads = entries.filter(({ method, needs }) => method === 'GET' && needs === permission)
  const change = Object.entries(changes).find(([name]) => name === permission)?.[1]
  if (change === undefined) return reads
  const found = typeof change === 'string' ? entries.find((one) => named(one) === change) : change
  if (!found) throw new Error(`no route ${JSON.stringify(change)}`)
  return [...reads, found]
}

/** Whoever gives all grants sees them too. */
const others = (permission: Permission) =>
  permissions.filter((one) => one !== permission && !(permission === 'access:read' && one === 'access:write'))

/** What grants could show instead, and there are none. */
const isHidden = (permission: Permission, status: number, text: string) =>
  permission.endsWith(':read') &&
  (grantable.has(permission) || permission === 'access:read') &&
  (status === 404 || (status === 200 && /"items":\[\]/.test(text)))

/**
 * For every permission a role of the tenant's own with it alone, and one with all but it.
 * @param isWhole asks all that read and by keys too; otherwise two routes each
 */
export function customRoleCases(stage: () => Stage, isWhole: boolean): void {
  let acme: Tenant
  let things: Things
  let boss: Ask
  let person: Person
  let roleId: string
  beforeAll(async () => {
    const { here, db } = stage()
    acme = await here.tenant()
    boss = as(acme, acme.accessToken)
    things = await makeThings(acme, db)
    const made = await boss('/v1/roles', { method: 'POST', body: { name: 'own', permissions: [] } })
    roleId = (await json<{ id: string }>(made, 201)).id
    person = await member(here, db, acme, 'guest')
    await json(await boss(`/v1/members/${person.userId}`, { method: 'PATCH', body: { role: roleId } }), 200)
  })

  describe('a role of the tenant’s own', () => {
    it.each(permissions)(
      'with %s alone may do what asks for it, and with all but that may not',
      async (permission) => {
        const { pathOf, initOf } = asker(things)
        const routes = isWhole ? asked(permission) : asked(permission).slice(-2)
        expect(routes.length).toBeGreaterThan(0)
        const session = as(acme, person.accessToken)
        const become = async (some: readonly Permission[]) =>
          json(await boss(`/v1/roles/${roleId}`, { method: 'PATCH', body: { permissions: some } }), 200)

        const wrong: string[] = []
        const look = async (way: string, entry: Walked, ask: Ask, isAllowed: boolean) => {
          const answer = await ask(pathOf(entry), initOf(entry))
          const text = await answer.text()
          const isRight = isAllowed
            ? answer.ok || answer.status === entry.lone
            : answer.status === 403 || isHidden(permission, answer.status, text)
          if (!isRight) wrong.push(`${way}: ${named(entry)} ${answer.status} ${text}`)
        }
        const byKey = routes.filter(({ by }) => by !== 'person')
        const bySession = routes.filter(({ by }) => by !== 'key')
        await become(others(permission))
        for (const entry of bySession) await look('all but it', entry, session, false)
        if (isWhole || bySession.length === 0) {
          const without = await keyFor(acme, others(permission))
          for (const entry of byKey) await look('a key with all but it', entry, without, false)
        }

        const more = [...new Set(routes.flatMap(({ also }) => also))]
        await become([permission, ...more])
        for (const entry of bySession) await look('it alone', entry, session, true)
        if (isWhole || bySession.length === 0) {
          const alone = await keyFor(acme, [permission, ...more])
          for (const entry of byKey.filter(({ method }) => method === 'GET' || bySession.length === 0))
            await look('a key with it alone', entry, alone, true)
        }
        expect(wrong).toEqual([])
      },
    )

    it('changes with the permissions that it gets: every one was tried', () => {
      expect(permissions.flatMap((one) => (asked(one).length > 0 ? [one] : []))).toEqual([...permissions])
    })
  })
}
