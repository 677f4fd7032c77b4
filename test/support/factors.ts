import { Secret, TOTP } from 'otpauth'
import type pg from 'pg'
import { afterAll, beforeEach, inject } from 'vitest'
import { personOf, send, verify, type Person } from './member.ts'
import { client } from './own-stack.ts'
import { json } from './pipeline.ts'
import { world, type World } from './world.ts'

export type Challenge = { token: string; factors: string[]; enrol: boolean }
export type Tokens = { accessToken: string; refreshToken: string; recoveryCodes?: string[] }

export const minute = 60_000

/** A world whose clock can be put forward, and people in it who have second factors. */
export type FactorWorld = {
  here: World
  owner: pg.Client
  /** How far the Worker's clock is ahead, in milliseconds. */
  clock: { ahead: number }
  logged: unknown[]
  codeOf(secret: string, steps?: number): string
  /** Somebody who has just signed up, with a tenant of their own. */
  someone(): Promise<Person & { tenantId: string }>
  /** The same with one-time codes; the clock is where no code was used yet. */
  withTotp(): Promise<{ person: Person & { tenantId: string }; secret: string; recoveryCodes: string[] }>
  passwordStep(person: Person, tenantId?: string): Promise<Response>
  challengeOf(person: Person, tenantId?: string): Promise<Challenge>
  finish(body: Record<string, unknown>): Promise<Response>
  back(person: Person, answer: Response): Promise<Person>
  close(): Promise<void>
}

async function factorWorld(): Promise<FactorWorld> {
  const owner = await client(inject('ownerUrl'))
  const clock = { ahead: 0 }
  const logged: unknown[] = []
  const here = await world((services) => ({
    ...services,
    now: () => new Date(Date.now() + clock.ahead),
    log: (line) => void logged.push(line),
  }))
  const made: FactorWorld = {
    here,
    owner,
    clock,
    logged,
    codeOf: (secret, steps = 0) =>
      TOTP.generate({
        secret: Secret.fromBase32(secret),
        timestamp: here.services.now().getTime() + steps * 30_000,
      }),
    async someone() {
      const tenant = await here.tenant()
      await verify(owner, tenant)
      return { ...personOf(here, tenant, tenant), tenantId: tenant.id }
    },
    async withTotp() {
      const person = await made.someone()
      const { secret } = await json<{ secret: string }>(
        await person.fetch('/v1/me/factors/totp', { method: 'POST', body: {} }),
        201,
      )
      const confirmed = await person.fetch('/v1/me/factors/totp/confirm', {
        method: 'POST',
        body: { code: made.codeOf(secret) },
      })
      const { recoveryCodes } = await json<{ recoveryCodes: string[] }>(confirmed, 200)
      clock.ahead += 2 * minute
      return { person, secret, recoveryCodes }
    },
    passwordStep: ({ email, password }, tenantId) =>
      send(here, '/v1/sessions', { body: { email, password, ...(tenantId ? { tenantId } : {}) } }),
    challengeOf: async (person, tenantId) =>
      (await json<{ challenge: Challenge }>(await made.passwordStep(person, tenantId), 200)).challenge,
    finish: (body) => send(here, '/v1/sessions/factor', { body }),
    back: async (person, answer) => personOf(here, person, await json<Tokens>(answer, 201)),
    async close() {
      await here.close()
      await owner.end()
    },
  }
  return made
}

/** One for the tests of a file; its clock is right again before each of them. */
export async function fileFactorWorld(): Promise<FactorWorld> {
  const made = await factorWorld()
  afterAll(() => made.close())
  beforeEach(() => {
    made.clock.ahead = 0
  })
  return made
}
