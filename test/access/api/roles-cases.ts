import { beforeAll, describe, expect, it } from 'vitest'
import { roles } from '#src/domain/role.ts'
import { as } from '#test/support/answers.ts'
import { standing } from '#test/support/standing.ts'
import { asker } from '#test/routes/walk/ask.ts'
import { entries } from '#test/routes/walk/entries.ts'
import type { Walked } from '#test/routes/walk/route.ts'
import { makeThings, type Things } from '#test/routes/walk/things.ts'
import type { Tenant } from '#test/support/world.ts'
import { crewOf, verdictOf, type Caller, type Crew } from './callers.ts'
import type { Stage } from './stage.ts'

const guarded = entries.filter(({ needs }) => needs !== 'anybody')

/** Asks as each of them and tells of the answers that are not what the table says. */
async function wrongly(
  things: Things,
  callers: readonly Caller[],
  isAsked: (caller: Caller, entry: Walked) => boolean,
) {
  const { pathOf, initOf } = asker(things)
  let asked = 0
  const wrong: string[] = []
  await Promise.all(
    callers.map(async (caller) => {
      for (const entry of guarded.filter((one) => isAsked(caller, one))) {
        const answer = await caller.ask(pathOf(entry), initOf(entry))
        const text = await answer.text()
        asked++
        const verdict = verdictOf(caller, entry)
        if (!fits(verdict, entry, answer.status, text))
          wrong.push(
            `${caller.name}: ${entry.method} ${entry.path} is ${verdict}, got ${answer.status} ${text.slice(0, 160)}`,
          )
      }
    }),
  )
  return { asked, wrong }
}

function fits(verdict: string, entry: Walked, status: number, text: string): boolean {
  switch (verdict) {
    case 'allowed':
      return status === entry.lone
    case 'empty':
      return status === 200 && /"items":\[\]/.test(text)
    case 'hidden':
      return status === 404
    default:
      return status === 403
  }
}

/** To see why, to sign out and to go elsewhere; and for owners, to open it again. */
const isWayOut = ({ isPerson, role }: Caller, { path }: Walked) =>
  isPerson &&
  (/^\/v1\/(me|sessions)(\/|$)/.test(path) ||
    (role === 'owner' && /^\/v1\/(tenant|audit|access)(\/|$)/.test(path)))

/**
 * Every route × every role × every way to show it.
 * @param share 1 asks all of them; more asks every so manyth of the keys', another one of each key, and five times as many of the
 * sessions'
 */
export function rolesCases(stage: () => Stage, share: number): void {
  let acme: Tenant
  let things: Things
  let crew: Crew
  beforeAll(async () => {
    const { here, db } = stage()
    acme = await here.tenant()
    things = await makeThings(acme, db)
    crew = await crewOf(here, db, acme)
  })
  const isInShare = (caller: Caller, entry: Walked) => {
    const place = crew.callers.indexOf(caller) + guarded.indexOf(entry)
    return place % (caller.isPerson ? Math.ceil(share / 5) : share) === 0
  }

  describe('every route, asked by every role with a session, a key and a personal key', () => {
    it('is refused exactly where the table of roles does not allow it, and leaves no trace', async () => {
      const before = await standing(stage().db, acme.id)
      expect(Object.keys(before).length).toBeGreaterThan(40)
      const { asked, wrong } = await wrongly(
        things,
        crew.callers,
        (caller, entry) => isInShare(caller, entry) && verdictOf(caller, entry) !== 'allowed',
      )
      expect(wrong).toEqual([])
      expect(asked).toBeGreaterThan(share === 1 ? 2_000 : 150)
      expect(await standing(stage().db, acme.id)).toEqual(before)
    })

    it('that reads is answered exactly where the table of roles allows it', async () => {
      const { asked, wrong } = await wrongly(
        things,
        crew.callers,
        (caller, entry) =>
          isInShare(caller, entry) && entry.method === 'GET' && verdictOf(caller, entry) === 'allowed',
      )
      expect(wrong).toEqual([])
      expect(asked).toBeGreaterThan(share === 1 ? 500 : 50)
    })

    it('is closed to every role of a suspended tenant, but what shows them why and the way out', async () => {
      const { here, db } = stage()
      const shut = await here.tenant()
      const theirs = await crewOf(here, db, shut)
      const closed = await as(shut, shut.accessToken)('/v1/tenant/suspend', {
        method: 'POST',
        body: { reason: 'the matrix' },
      })
      expect(closed.status).toBe(204)
      const before = await standing(db, shut.id)
      const { pathOf, initOf } = asker(things)
      const wrong: string[] = []
      await Promise.all(
        theirs.callers.map(async (caller, place) => {
          const asked = guarded.filter((entry, n) => !isWayOut(caller, entry) && (n + place) % share === 0)
          for (const entry of asked) {
            const answer = await caller.ask(pathOf(entry), initOf(entry))
            const text = await answer.text()
            if (answer.status !== 423 || !text.includes('suspended'))
              wrong.push(
                `${caller.name}: ${entry.method} ${entry.path} ${answer.status} ${text.slice(0, 160)}`,
              )
          }
        }),
      )
      expect(wrong).toEqual([])
      for (const { isPerson, ask } of theirs.callers)
        expect((await ask('/v1/me')).status).toBe(isPerson ? 200 : 423)
      expect(await standing(db, shut.id)).toEqual(before)
    })

    it('was asked by all of them: a guest alone has nothing to give a key', () => {
      expect(crew.callers).toHaveLength(roles.length * 3 - 1)
      expect(new Set(crew.callers.map(({ role }) => role))).toEqual(new Set(roles))
    })
  })
}
