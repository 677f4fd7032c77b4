import { beforeAll, describe, expect, it } from 'vitest'
import { allowedBy, grantable, grantKinds, levels, type GrantKind, type Level } from '#src/domain/access.ts'
import type { Permission } from '#src/domain/role.ts'
import { as } from '#test/support/answers.ts'
import { member } from '#test/support/member.ts'
import { json } from '#test/support/pipeline.ts'
import { standing } from '#test/support/standing.ts'
import { asker } from '#test/routes/walk/ask.ts'
import { entries } from '#test/routes/walk/entries.ts'
import type { Walked } from '#test/routes/walk/route.ts'
import { makeThings, type Things } from '#test/routes/walk/things.ts'
import type { Tenant } from '#test/support/world.ts'
import { judgedBy, verdictOf, type Ask, type Caller } from './callers.ts'
import type { Stage } from './stage.ts'

type Guest = { kind: GrantKind; level: Level; caller: Caller }

const guarded = entries.filter(({ needs }) => needs.includes(':'))

/** Which kinds of grants reach what a request is about. */
const reachOf: Readonly<Record<string, readonly GrantKind[]>> = {
  projects: ['project'],
  pipelines: ['pipeline', 'project'],
  connections: ['connection', 'project'],
  datasets: ['dataset', 'project'],
  runs: ['pipeline', 'project'],
  backfills: ['pipeline', 'project'],
  alerts: ['pipeline', 'project'],
  'dead-letters': ['pipeline', 'project'],
  // The one that there is is on the pipeline.
  grants: ['pipeline', 'project'],
}

type Verdict = 'allowed' | 'refused' | 'hidden'

/** What the table of levels says; undefined where a request is about no single resource, or about two. */
function byGrant({ kind, level }: Guest, entry: Walked): Verdict | undefined {
  const isAboutOne = entry.path.startsWith('/v1/grants') || judgedBy(entry) !== undefined
  if (!isAboutOne || isOfTwo(entry)) return undefined
  if (entry.path === '/v1/grants' && entry.method === 'GET') return undefined
  const [, , folder = ''] = entry.path.split('/')
  const isReached = reachOf[folder]?.includes(kind) ?? false
  const allowed: readonly string[] = isReached ? allowedBy(kind, level) : []
  if (folder === 'grants') {
    const wanted = ['access:write', ...entry.also]
    if (wanted.every((one) => allowed.includes(one))) return 'allowed'
    return entry.method === 'POST' && allowed.includes('pipelines:read') ? 'refused' : 'hidden'
  }
  if ([entry.needs, ...entry.also].every((one) => allowed.includes(one))) return 'allowed'
  const reading = judgedBy(entry)
  return reading !== undefined && allowed.includes(reading) ? 'refused' : 'hidden'
}

/** Puts one resource into another: who may do that, test/access/grants.test.ts says. */
const isOfTwo = ({ path, method }: Walked) =>
  path.startsWith('/v1/projects/:id/resources') && method !== 'GET'

const named = ({ method, path }: Walked) => `${method} ${path}`
const isRight = (verdict: string, entry: Walked, status: number): boolean =>
  verdict === 'allowed' ? status === entry.lone : status === (verdict === 'refused' ? 403 : 404)

/** About a single resource, or a list of such. */
const isNear = (entry: Walked) =>
  judgedBy(entry) !== undefined || (entry.method === 'GET' && grantable.has(entry.needs as Permission))

/** Asks as every guest and gathers what came otherwise; `only` says of what. */
async function wrongly(
  guests: readonly Guest[],
  things: Things,
  verdictFor: (guest: Guest, entry: Walked) => string | undefined,
  look: (entry: Walked, verdict: string, status: number, text: string) => boolean,
) {
  const { pathOf, initOf } = asker(things)
  const wrong: string[] = []
  let asked = 0
  await Promise.all(
    guests.map(async (guest) => {
      for (const entry of guarded) {
        const verdict = verdictFor(guest, entry)
        if (verdict === undefined || (verdict === 'allowed' && entry.method !== 'GET')) continue
        const answer = await guest.caller.ask(pathOf(entry), initOf(entry))
        const text = await answer.text()
        asked++
        if (!look(entry, verdict, answer.status, text))
          wrong.push(
            `${guest.caller.name}: ${named(entry)} is ${verdict}, got ${answer.status} ${text.slice(0, 160)}`,
          )
      }
    }),
  )
  return { wrong, asked }
}

const idsOf = (things: Things) =>
  ['project', 'pipeline', 'connection', 'dataset', 'run', 'backfill', 'alert', 'deadLetter', 'grant'].map(
    (kind) => things[kind] ?? kind,
  )

/**
 * Every level on every kind of resource × every route.
 * @param isWhole asks of what lies beside it also what no grant could ever allow, and by all levels; otherwise of half of the
 * routes, and beside it by those who may most
 */
export function grantCases(stage: () => Stage, isWhole: boolean): void {
  let acme: Tenant
  let boss: Ask
  /** What grants are given on, all of it in one project; and the same again in another. */
  let given: Things
  let sibling: Things
  let guests: Guest[]
  beforeAll(async () => {
    const { here, db } = stage()
    acme = await here.tenant()
    boss = as(acme, acme.accessToken)
    given = await inProject(await makeThings(acme, db))
    sibling = await inProject(await makeThings(acme, db))
    guests = []
    for (const kind of grantKinds) for (const level of levels) guests.push(await guestWith(kind, level))
  })

  async function inProject(things: Things): Promise<Things> {
    for (const kind of ['pipeline', 'connection', 'dataset']) {
      const put = await boss(`/v1/projects/${things['project'] ?? ''}/resources`, {
        method: 'POST',
        body: { kind, id: things[kind] },
      })
      if (put.status !== 204) throw new Error(`into the project: ${put.status} ${await put.text()}`)
    }
    return things
  }

  async function guestWith(kind: GrantKind, level: Level): Promise<Guest> {
    const person = await member(stage().here, stage().db, acme, 'guest')
    const body = { subject: person.userId, resource: given[kind], level }
    await json(await boss('/v1/grants', { method: 'POST', body }), 201)
    const name = `a guest who may ${level} a ${kind}`
    const nothing = { may: new Set<Permission>(), byGrants: grantable }
    const ask = as(acme, person.accessToken)
    return { kind, level, caller: { name, role: 'guest', isPerson: true, ...nothing, ask } }
  }

  const isInShare = (guest: Guest, entry: Walked) =>
    isWhole || (guests.indexOf(guest) + guarded.indexOf(entry)) % 2 === 0

  describe('a grant on one project, pipeline, connection or dataset', () => {
    it('allows exactly what the table of levels says, and what it does not leaves no trace', async () => {
      const before = await standing(stage().db, acme.id)
      const { wrong, asked } = await wrongly(
        guests,
        given,
        (guest, entry) => (isInShare(guest, entry) ? byGrant(guest, entry) : undefined),
        (entry, verdict, status) => isRight(verdict, entry, status),
      )
      expect(wrong).toEqual([])
      expect(asked).toBeGreaterThan(isWhole ? 600 : 300)
      expect(await standing(stage().db, acme.id)).toEqual(before)
    })

    it('allows nothing on a resource beside it, and shows nothing of that', async () => {
      const before = await standing(stage().db, acme.id)
      const hidden = idsOf(sibling)
      const { wrong, asked } = await wrongly(
        isWhole ? guests : guests.filter(({ level }) => level === 'manage'),
        sibling,
        ({ caller }, entry) =>
          isOfTwo(entry) || !(isWhole || isNear(entry)) ? undefined : verdictOf(caller, entry),
        (entry, verdict, status, text) => {
          // A list holds what was given, and nothing else.
          if (verdict === 'empty') return status === 200 && !hidden.some((id) => text.includes(id))
          return isRight(verdict, entry, status)
        },
      )
      expect(wrong).toEqual([])
      expect(asked).toBeGreaterThan(isWhole ? 2_000 : 200)
      expect(await standing(stage().db, acme.id)).toEqual(before)
    })
  })
}
