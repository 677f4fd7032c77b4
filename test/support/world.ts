import { inject } from 'vitest'
import type { Services } from '#src/actions/context.ts'
import { createApp } from '#src/app.ts'
import type { TenantId, UserId } from '#src/domain/id.ts'
import { permissions } from '#src/domain/role.ts'
import { readEnv } from '#src/env.ts'
import { buildServices } from '#src/services.ts'
import { grammar } from './grammar.ts'
import { serve } from './server.ts'

export type Tenant = {
  id: TenantId
  userId: UserId
  email: string
  password: string
  accessToken: string
  refreshToken: string
  /** May do everything that a key can. */
  apiKey: string
  /** A request with the API key; a body that is no string or Request body is sent as JSON. */
  fetch(path: string, init?: Init): Promise<Response>
}

type Init = Omit<RequestInit, 'body' | 'headers'> & { body?: unknown; headers?: Record<string, string> }

export type World = {
  url: string
  app: ReturnType<typeof createApp>
  services: Services
  /** A fresh tenant with its owner and an API key. */
  tenant(): Promise<Tenant>
  close(): Promise<void>
}

export const password = 'correct horse battery staple'

/** The real app on the run's real services, reachable over HTTP so that jobs are delivered to it. */
export async function world(change: (services: Services) => Services = (services) => services): Promise<World> {
  let app: ReturnType<typeof createApp> | undefined
  const pending = new Set<Promise<unknown>>()
  const platform = {
    address: `198.51.100.${Math.floor(Math.random() * 250)}`,
    waitUntil(promise: Promise<unknown>) {
      pending.add(promise)
      promise.finally(() => pending.delete(promise)).catch(() => undefined)
    },
  }
  const server = await serve(() => (request) => {
    if (!app) throw new Error('the world is not ready')
    return app.fetch(request, platform)
  })
  const env = readEnv({ ...inject('env'), PUBLIC_URL: server.url })
  const services = change({ ...buildServices(env, await grammar()), log: () => undefined })
  const made = createApp(services)
  app = made

  const ask = (path: string, init: Init, credential: string): Promise<Response> => {
    const plain = init.body === undefined || typeof init.body === 'string' || init.body instanceof Uint8Array
    const body = plain ? init.body : JSON.stringify(init.body)
    const headers: Record<string, string> = { Authorization: `Bearer ${credential}`, ...init.headers }
    if (!plain) headers['Content-Type'] ??= 'application/json'
    const { body: _body, ...rest } = init
    const request = new Request(new URL(path, server.url), {
      ...rest,
      headers,
      ...(body === undefined ? {} : { body: body as BodyInit }),
    })
    return Promise.resolve(made.fetch(request, platform))
  }

  async function tenant(): Promise<Tenant> {
    const email = `${crypto.randomUUID()}@example.com`
    // Sign-ups are limited by address; in here everybody has their own.
    const signedUp = await made.fetch(
      new Request(new URL('/v1/sign-up', server.url), {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ email, password, tenantName: email }),
      }),
      { ...platform, address: crypto.randomUUID() },
    )
    if (signedUp.status !== 201) throw new Error(`sign-up: ${signedUp.status} ${await signedUp.text()}`)
    const { tenant: own, user, accessToken, refreshToken } = (await signedUp.json()) as {
      tenant: { id: TenantId }
      user: { id: UserId }
      accessToken: string
      refreshToken: string
    }
    const keyMade = await ask('/v1/api-keys', { method: 'POST', body: { name: 'test', scopes: permissions } }, accessToken)
    if (keyMade.status !== 201) throw new Error(`api key: ${keyMade.status} ${await keyMade.text()}`)
    const { key } = (await keyMade.json()) as { key: string }
    return {
      id: own.id,
      userId: user.id,
      email,
      password,
      accessToken,
      refreshToken,
      apiKey: key,
      fetch: (path, init = {}) => ask(path, init, key),
    }
  }

  return {
    url: server.url,
    app: made,
    services,
    tenant,
    async close() {
      await Promise.allSettled(pending)
      await server.close()
    },
  }
}
