import { afterAll } from 'vitest'
import * as z from 'zod'
import { allow, type Services } from '#src/actions/context.ts'
import { newApiKey } from '#src/domain/api-key.ts'
import type { Permission } from '#src/domain/role.ts'
import { newRoutes, type Platform } from '#src/http/api.ts'
import { etagOf, expectedVersions, stale } from '#src/http/etag.ts'
import { newApp } from '#src/http/middleware.ts'
import { created, single } from '#src/http/reply.ts'
import { valid } from '#src/http/valid.ts'
import { apiKeyRoutes, ownKeyRoutes } from '#src/routes/api-keys.ts'
import { callbackRoutes } from '#src/routes/callbacks.ts'
import { eventRoutes } from '#src/routes/events.ts'
import { healthRoutes } from '#src/routes/health.ts'
import { jwksRoutes } from '#src/routes/jwks.ts'
import { meRoutes } from '#src/routes/me.ts'
import { problemRoutes } from '#src/routes/problems.ts'
import { schemaRoutes } from '#src/routes/schemas.ts'
import { serviceAccountRoutes } from '#src/routes/service-accounts.ts'
import { sessionRoutes } from '#src/routes/sessions.ts'
import { signUpRoutes } from '#src/routes/sign-up.ts'
import { world, type World } from '#test/support/world.ts'

export const password = 'correct horse battery'

/** One world for a test file. */
let shared: Promise<World> | undefined
afterAll(async () => (await shared)?.close())

/** The entrance with the routes of identity and one resource that tests can steer, over the real services. */
export async function entrance(changes: Partial<Services> = {}) {
  shared ??= world()
  const { services: real } = await shared
  const lines: Record<string, unknown>[] = []
  const services: Services = { ...real, log: (line) => void lines.push(line), ...changes }
  const things = thingRoutes()
  const app = newApp(services)
    .route('/', jwksRoutes)
    .route('/', problemRoutes)
    .route('/v1/callbacks', callbackRoutes)
    .route('/v1/events', eventRoutes)
    .route('/v1/health', healthRoutes)
    .route('/v1/sign-up', signUpRoutes)
    .route('/v1/sessions', sessionRoutes)
    .route('/v1/me', meRoutes)
    .route('/v1/api-keys', apiKeyRoutes)
    .route('/v1/me/api-keys', ownKeyRoutes)
    .route('/v1/service-accounts', serviceAccountRoutes)
    .route('/v1/schemas', schemaRoutes)
    .route('/v1/things', things.routes)
  const pending = new Set<Promise<unknown>>()
  const from = (address = someAddress()): Platform => ({
    address,
    waitUntil: (promise) => void pending.add(promise),
  })
  const send = (path: string, init: RequestInit = {}, platform = from()) =>
    Promise.resolve(app.request(path, init, platform))
  return {
    app,
    services,
    lines,
    things,
    send,
    from,
    /** The work that was put off. */
    settled: () => Promise.all(pending),
    requestLine: () => lines.findLast((line) => line['event'] === 'request') ?? {},
    /** A new tenant with its owner, at an address of their own. */
    async owner() {
      const platform = from()
      const email = `owner-${crypto.randomUUID()}@example.com`
      const signedUp = await send('/v1/sign-up', json({ tenantName: 'Acme', email, password }), platform)
      const body = await bodyOf<SignedUp>(signedUp)
      const as =
        (credential: string) =>
        (path: string, init: RequestInit = {}) =>
          send(
            path,
            { ...init, headers: { authorization: `Bearer ${credential}`, ...headersOf(init) } },
            platform,
          )
      const fetch = as(body.accessToken)
      return {
        ...body,
        email,
        platform,
        as,
        fetch,
        async key(scopes: Permission[] = ['runs:read']) {
          const made = await fetch('/v1/api-keys', json({ name: 'test', scopes }))
          const { id, key } = await bodyOf<{ id: string; key: string }>(made)
          return { id, key, fetch: as(key) }
        },
      }
    },
  }
}

export type SignedUp = {
  tenant: { id: string; name: string }
  user: { id: string; email: string }
  accessToken: string
  accessTokenExpiresAt: string
  refreshToken: string
}

export type ProblemBody = {
  type: string
  title: string
  status: number
  detail: string
  instance: string
  code: string
  requestId: string
  fields?: { path: string; message: string }[]
  'violated-policies'?: string[]
}

export const json = (body: unknown, headers: Record<string, string> = {}): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify(body),
})

/** The answer's body, as the test expects it to be. */
export const bodyOf = async <T = ProblemBody>(response: Response): Promise<T> => (await response.json()) as T

/** A key that could exist and does not. */
export const unknownKey = newApiKey

const headersOf = (init: RequestInit) => Object.fromEntries(new Headers(init.headers))

function someAddress(): string {
  const [a, b, c, d] = crypto.getRandomValues(new Uint16Array(4))
  return [a, b, c, d].map((part) => (part ?? 0).toString(16)).join(':') + '::1'
}

const newThing = z.object({ name: z.string().min(2), tags: z.array(z.string()).optional() })

function thingRoutes() {
  const state = { effects: 0, version: 3, fail: undefined as unknown, waitFor: Promise.resolve() }
  const routes = newRoutes()
    .post('/', valid('json', newThing), async (c) => {
      await state.waitFor
      if (state.fail !== undefined) throw state.fail
      state.effects++
      return created(c, `/v1/things/${state.effects}`, { number: state.effects, ...c.req.valid('json') })
    })
    .post('/guarded', (c) => {
      allow(c.var.ctx, 'runs:write')
      return c.json({ ok: true }, 200)
    })
    .get('/one', (c) => single(c, { version: state.version }, etagOf(state.version)))
    .put('/one', valid('json', newThing), (c) => {
      const expected = expectedVersions(c)
      if (expected !== 'any' && !expected.includes(state.version)) throw stale()
      state.version++
      return single(c, { version: state.version }, etagOf(state.version))
    })
    .get('/fails', () => {
      throw state.fail
    })
  return Object.assign(state, { routes })
}
