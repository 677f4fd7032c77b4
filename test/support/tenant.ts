import type { TenantId, UserId } from '#src/domain/id.ts'
import { permissions } from '#src/domain/role.ts'

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

export type Init = Omit<RequestInit, 'body' | 'headers'> & {
  body?: unknown
  headers?: Record<string, string>
}

/** Where requests go: an app in this process, or a server. `address` is whose they are, when that can be chosen. */
export type Send = (request: Request, address?: string) => Promise<Response>

export const password = 'correct horse battery staple'

/** A fresh tenant with its owner and an API key, made over the public API. */
export async function newTenant(url: string, send: Send): Promise<Tenant> {
  const ask = (path: string, init: Init, credential: string): Promise<Response> => {
    const plain = init.body === undefined || typeof init.body === 'string' || init.body instanceof Uint8Array
    const body = plain ? init.body : JSON.stringify(init.body)
    const headers: Record<string, string> = { Authorization: `Bearer ${credential}`, ...init.headers }
    if (!plain) headers['Content-Type'] ??= 'application/json'
    const { body: _body, ...rest } = init
    const request = new Request(new URL(path, url), {
      ...rest,
      headers,
      ...(body === undefined ? {} : { body: body as BodyInit }),
    })
    return send(request)
  }

  const email = `${crypto.randomUUID()}@example.com`
  const signUp = new Request(new URL('/v1/sign-up', url), {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ email, password, tenantName: email }),
  })
  // Sign-ups are limited by address; in here everybody has their own.
  const signedUp = await send(signUp, crypto.randomUUID())
  if (signedUp.status !== 201) throw new Error(`sign-up: ${signedUp.status} ${await signedUp.text()}`)
  const { tenant, user, accessToken, refreshToken } = (await signedUp.json()) as {
    tenant: { id: TenantId }
    user: { id: UserId }
    accessToken: string
    refreshToken: string
  }
  const keyMade = await ask(
    '/v1/api-keys',
    { method: 'POST', body: { name: 'test', scopes: permissions } },
    accessToken,
  )
  if (keyMade.status !== 201) throw new Error(`api key: ${keyMade.status} ${await keyMade.text()}`)
  const { key } = (await keyMade.json()) as { key: string }
  return {
    id: tenant.id,
    userId: user.id,
    email,
    password,
    accessToken,
    refreshToken,
    apiKey: key,
    fetch: (path, init = {}) => ask(path, init, key),
  }
}
