import type { Permission } from '#src/domain/role.ts'
import { json } from './pipeline.ts'
import type { Init, Tenant } from './tenant.ts'

export type ProblemJson = {
  type: string
  status: number
  code: string
  detail: string
  instance: string
  requestId: string
  fields?: { path: string; message: string; line?: number; column?: number }[]
}

/** A refusal of this status, which must be a problem in every way. */
export async function problem(response: Response, status: number): Promise<ProblemJson> {
  const body = await json<ProblemJson>(response, status)
  const type = response.headers.get('content-type')
  if (type !== 'application/problem+json') throw new Error(`a ${status} came as ${type}`)
  if (body.status !== status) throw new Error(`a ${status} says ${body.status}`)
  return body
}

/** The paths that a 422 or 400 names. */
export const paths = async (response: Response, status: number): Promise<string[]> =>
  (await problem(response, status)).fields?.map(({ path }) => path) ?? []

type Fetch = (path: string, init?: Init) => Promise<Response>

/** Requests with another credential of the same tenant. */
export const as =
  (tenant: Tenant, credential: string): Fetch =>
  (path, init = {}) =>
    tenant.fetch(path, { ...init, headers: { ...init.headers, Authorization: `Bearer ${credential}` } })

/** Requests with a key that may do just this. */
export async function keyFor(tenant: Tenant, scopes: readonly Permission[]): Promise<Fetch> {
  const made = await as(tenant, tenant.accessToken)('/v1/api-keys', {
    method: 'POST',
    body: { name: 'few', scopes },
  })
  return as(tenant, (await json<{ key: string }>(made, 201)).key)
}

/** An id that nobody has, of the same kind. */
export const madeUp = (id: string): string => id.slice(0, -4) + (id.endsWith('0000') ? '1111' : '0000')
