import type pg from 'pg'
import type { TenantId, UserId } from '#src/domain/id.ts'
import type { Role } from '#src/domain/role.ts'
import { json } from './pipeline.ts'
import type { Init } from './tenant.ts'
import type { Tenant, World } from './world.ts'

export type Person = {
  userId: UserId
  email: string
  password: string
  accessToken: string
  refreshToken: string
  fetch(path: string, init?: Init): Promise<Response>
}

/** A request of nobody in particular, from an address of its own. */
export function send(here: World, path: string, init: Init = {}): Promise<Response> {
  const request = new Request(new URL(path, here.url), {
    method: init.method ?? 'POST',
    headers: { 'Content-Type': 'application/json', ...init.headers },
    ...(init.body === undefined ? {} : { body: JSON.stringify(init.body) }),
  })
  return Promise.resolve(
    here.app.fetch(request, { address: `2001:db8:${Math.floor(Math.random() * 65_535).toString(16)}::1` }),
  )
}

type Tokens = { accessToken: string; refreshToken: string }

/** Somebody signed in to a tenant that they are a member of. */
export async function signIn(
  here: World,
  who: { userId: UserId; email: string; password: string },
  tenantId: TenantId,
): Promise<Person> {
  const { email, password } = who
  const tokens = await json<Tokens>(
    await send(here, '/v1/sessions', { body: { email, password, tenantId } }),
    201,
  )
  return personOf(here, who, tokens)
}

export function personOf(
  here: World,
  { userId, email, password }: { userId: UserId; email: string; password: string },
  { accessToken, refreshToken }: Tokens,
): Person {
  return {
    userId,
    email,
    password,
    accessToken,
    refreshToken,
    fetch: (path, init = {}) =>
      send(here, path, {
        method: 'GET',
        ...init,
        headers: { Authorization: `Bearer ${accessToken}`, ...init.headers },
      }),
  }
}

/** Says of an address that it was proved. */
export const verify = (owner: pg.Client, { userId }: { userId: UserId }) =>
  owner.query('update users set email_verified_at = now() where id = $1', [userId])

/** The owner of the tenant as a person, with a proved address. */
export async function ownerOf(here: World, owner: pg.Client, tenant: Tenant): Promise<Person> {
  await verify(owner, tenant)
  return personOf(here, tenant, tenant)
}

/** Somebody with a tenant of their own who is a member here too, signed in here. */
export async function member(here: World, owner: pg.Client, tenant: Tenant, role: Role): Promise<Person> {
  const home = await here.tenant()
  await verify(owner, home)
  await owner.query('insert into memberships (tenant_id, user_id, role) values ($1, $2, $3)', [
    tenant.id,
    home.userId,
    role,
  ])
  return signIn(here, home, tenant.id)
}
