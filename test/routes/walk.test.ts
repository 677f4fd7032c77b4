import pg from 'pg'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { permissions, type Permission } from '#src/domain/role.ts'
import { publicRoutes } from '#src/http/public-routes.ts'
import { as, keyFor, madeUp as madeUpId, problem } from '#test/support/answers.ts'
import { isLongForm } from '#test/support/long-form.ts'
import { json } from '#test/support/pipeline.ts'
import { world, type Tenant, type World } from '#test/support/world.ts'
import type { Init } from '#test/support/tenant.ts'
import { asker } from './walk/ask.ts'
import { entries } from './walk/entries.ts'
import { namesIn, type Walked } from './walk/route.ts'
import { makeThings, type Things } from './walk/things.ts'

let here: World
let acme: Tenant
let globex: Tenant
let hooli: Tenant
let owner: pg.Client
let things: Things
/** How far the entrance's clock is ahead. */
let aheadMs = 0

type Fetch = (path: string, init?: Init) => Promise<Response>
const keys = new Map<string, Fetch>()

beforeAll(async () => {
  here = await world((services) => {
    const { limits } = services
    const many = { limit: 100_000 }
    return {
      ...services,
      limits: { ...limits, user: { ...limits.user, ...many }, apiKey: { ...limits.apiKey, ...many } },
      now: () => new Date(Date.now() + aheadMs),
    }
  })
  ;[acme, globex, hooli] = await Promise.all([here.tenant(), here.tenant(), here.tenant()])
  owner = new pg.Client({ connectionString: inject('ownerUrl') })
  await owner.connect()
  things = await makeThings(acme, owner)
  for (const permission of permissions)
    keys.set(
      permission,
      await keyFor(
        acme,
        permissions.filter((one) => one !== permission),
      ),
    )
}, 60_000)
afterAll(async () => {
  await owner.end()
  await here.close()
})

/** What nobody has, of the same kind. */
const madeUp = (id: string) => (id.includes('.') ? `nobody-${id}` : madeUpId(id))

const named = ({ method, path }: Pick<Walked, 'method' | 'path'>) => `${method} ${path}`
const guarded = entries.filter(({ needs }) => needs !== 'anybody')
const isPermission = (needs: Walked['needs']): needs is Permission =>
  (permissions as readonly string[]).includes(needs)

const pathOf = (entry: Walked, of?: (id: string) => string) => asker(things).pathOf(entry, of)
const initOf = (entry: Walked, of?: (id: string) => string) => asker(things).initOf(entry, of)

/** All of them in the long form; otherwise one for each route, another one for the next. */
const byTurns = (entry: Walked, all: readonly string[]): readonly string[] =>
  isLongForm ? all : all.slice(guarded.indexOf(entry) % all.length).slice(0, 1)

const namesThings = (entry: Walked): boolean =>
  namesIn(entry).some(({ value }) => value.startsWith(':')) ||
  /":":[a-zA-Z]/.test(JSON.stringify(entry.body ?? ''))

const isScim = ({ path }: Walked) => path.startsWith('/scim/')
/** SCIM is for keys; most of what changes a tenant or an account is for people. */
const credentialOf = (entry: Walked, tenant: Tenant): Fetch =>
  as(tenant, isScim(entry) ? tenant.apiKey : tenant.accessToken)

/** What a refusal says; SCIM has a form of its own. */
async function detailOf(entry: Walked, response: Response, status: number): Promise<string> {
  if (!isScim(entry)) return (await problem(response, status)).detail
  const { detail } = await json<{ detail: string }>(response, status)
  return detail.replaceAll(/(usr|tea)_\w+/g, '')
}

let addresses = 0
/** Without a credential, each request from a network of its own. */
const anonymous = (entry: Walked, headers: Record<string, string> = {}) => {
  const init = initOf(entry)
  const request = new Request(new URL(pathOf(entry), here.url), {
    method: entry.method,
    headers: { ...init.headers, ...headers },
    ...(typeof init.body === 'string' ? { body: init.body } : {}),
  })
  return Promise.resolve(here.app.fetch(request, { address: `2001:db8:${(++addresses).toString(16)}::1` }))
}

/** What the people of a suspended tenant may still do: see why, sign out, go elsewhere, and their owner open it again. */
const wayOut = /^\/v1\/(me|sessions|tenant|audit|access)(\/|$)/

/** Walks all of them and tells of those that answered otherwise, so that one failure does not hide the next. */
async function walk(
  some: readonly Walked[],
  look: (entry: Walked) => Promise<string | undefined>,
): Promise<string[]> {
  const wrong: string[] = []
  for (const entry of some) {
    const said = await look(entry).catch((error: unknown) =>
      error instanceof Error ? error.message : String(error),
    )
    if (said !== undefined) wrong.push(`${named(entry)}: ${said}`)
  }
  return wrong
}

const unless = async (response: Response, status: number, detail?: RegExp): Promise<string | undefined> => {
  const text = await response.text()
  if (response.status !== status) return `wanted ${status}, got ${response.status} ${text.slice(0, 200)}`
  return detail && !detail.test(text) ? `said ${text.slice(0, 200)}` : undefined
}

describe('every route', () => {
  it('is in the table of this walk, and nothing else is', () => {
    const real = new Set<string>(
      here.app.routes.filter(({ method }) => method !== 'ALL').map(({ method, path }) => `${method} ${path}`),
    )
    const listed = entries.map(named)
    expect([...real].filter((one) => !listed.includes(one))).toEqual([])
    expect(listed.filter((one) => !real.has(one))).toEqual([])
    expect(new Set(listed).size).toBe(listed.length)
  })

  it('is public only by the table of public routes', () => {
    const open = entries.filter(({ needs }) => needs === 'anybody').map(named)
    expect(open.toSorted()).toEqual([...Object.keys(publicRoutes), 'POST /jobs/:job'].toSorted())
  })

  it('is refused without a credential, unless it is public', async () => {
    const wrong = await walk(entries, async (entry) =>
      entry.needs === 'anybody'
        ? unless(await anonymous(entry), entry.bare)
        : unless(await anonymous(entry), 401, /"unauthenticated"|"401"/),
    )
    expect(wrong).toEqual([])
  })

  it('is refused with a credential that is made up, or malformed', async () => {
    const wrong = await walk(guarded, async (entry) => {
      for (const shown of byTurns(entry, [
        'Bearer nonsense',
        'Bearer weir_live_nonsense',
        'Basic d2VpcjpwYXNz',
        'Bearer a.b.c',
      ])) {
        const said = await unless(await anonymous(entry, { authorization: shown }), 401)
        if (said !== undefined) return `${shown}: ${said}`
      }
      return undefined
    })
    expect(wrong).toEqual([])
  })

  it('is refused with a credential that has expired', async () => {
    const made = await as(acme, acme.accessToken)('/v1/api-keys', {
      method: 'POST',
      body: { name: 'short', scopes: permissions, expiresAt: new Date(Date.now() + 300_000).toISOString() },
    })
    const { key } = await json<{ key: string }>(made, 201)
    aheadMs = 11 * 60_000
    const wrong = await walk(guarded, async (entry) => {
      for (const shown of byTurns(entry, [key, acme.accessToken])) {
        const said = await unless(await anonymous(entry, { authorization: `Bearer ${shown}` }), 401)
        if (said !== undefined) return said
      }
      return undefined
    })
    aheadMs = 0
    expect(wrong).toEqual([])
  })

  it('is refused with every permission but its own, and says which it is', async () => {
    const wrong = await walk(guarded, async (entry) => {
      const { needs } = entry
      if (needs === 'member') return undefined
      if (needs === 'person') return unless(await acme.fetch(pathOf(entry), initOf(entry)), 403)
      const ask = keys.get(needs)
      return ask
        ? unless(
            await ask(pathOf(entry), initOf(entry)),
            403,
            new RegExp(`This needs the permission ${needs}\\b`),
          )
        : `no key without ${needs}`
    })
    expect(wrong).toEqual([])
  })

  it('that reads is answered with its permission alone', async () => {
    const alone = new Map<string, Fetch>()
    const reading = guarded.filter(({ method }) => method === 'GET')
    for (const { needs } of reading)
      if (isPermission(needs) && !alone.has(needs)) alone.set(needs, await keyFor(acme, [needs]))
    const wrong = await walk(reading, async (entry) => {
      const ask = alone.get(entry.needs) ?? credentialOf(entry, acme)
      return unless(await ask(pathOf(entry), initOf(entry)), entry.lone)
    })
    expect(wrong).toEqual([])
  })

  it('does not find what is another tenant’s, in the words for what nobody has', async () => {
    const some = guarded.filter(namesThings)
    expect(some.length).toBeGreaterThan(40)
    const wrong = await walk(some, async (entry) => {
      const theirs = credentialOf(entry, globex)
      const [other, nobodys] = [
        await theirs(pathOf(entry), initOf(entry)),
        await theirs(pathOf(entry, madeUp), initOf(entry, madeUp)),
      ]
      // A list or a count of what is not there is empty, for whoever's it is.
      if (other.status === 200 && nobodys.status === 200) {
        const both = [await other.text(), await nobodys.text()]
        return both.every((text) => /^\{"(revoked":0|items":\[\])\}$/.test(text))
          ? undefined
          : both.join(' is not ')
      }
      const said = await detailOf(entry, other, 404)
      const same = await detailOf(entry, nobodys, 404)
      return said === same ? undefined : `"${said}" is not "${same}"`
    })
    expect(wrong).toEqual([])
    for (const kind of ['connections', 'datasets', 'pipelines', 'runs'])
      expect((await acme.fetch(`/v1/${kind}/${things[kind.slice(0, -1)] ?? ''}`)).status).toBe(200)
  })

  it('is closed to a tenant that is suspended, but the ways out', async () => {
    const suspended = await as(hooli, hooli.accessToken)('/v1/tenant/suspend', {
      method: 'POST',
      body: { reason: 'the walk' },
    })
    expect(suspended.status).toBe(204)
    const wrong = await walk(guarded, async (entry) => {
      const shown = wayOut.test(entry.path) ? [hooli.apiKey] : [hooli.apiKey, hooli.accessToken]
      for (const one of byTurns(entry, shown)) {
        const said = await unless(
          await anonymous(entry, { authorization: `Bearer ${one}` }),
          423,
          /suspended/,
        )
        if (said !== undefined) return said
      }
      return undefined
    })
    expect(wrong).toEqual([])
  })

  it('names its methods when another is tried', async () => {
    const byPath = new Map<string, Walked[]>()
    for (const entry of guarded) byPath.set(entry.path, [...(byPath.get(entry.path) ?? []), entry])
    const wrong = await walk(
      [...byPath.values()].flatMap(([first]) => first ?? []),
      async (entry) => {
        const answer = await acme.fetch(pathOf(entry), { method: 'PROPFIND' })
        const said = await unless(answer, 405)
        const allowed = (answer.headers.get('allow') ?? '').split(', ')
        const missing = byPath.get(entry.path)?.filter(({ method }) => !allowed.includes(method)) ?? []
        return said ?? (missing.length > 0 ? `does not name ${missing.map(named).join()}` : undefined)
      },
    )
    expect(wrong).toEqual([])
  })
})
