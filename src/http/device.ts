import type { Context } from 'hono'
import { countAttempt, forgetAttempts } from '#src/cache/sign-in-delay.ts'
import { deviceMs } from '#src/domain/device-token.ts'
import { Problem } from '#src/domain/problem.ts'
import type { ApiEnv } from './api.ts'
import { readDeviceCookie, setDeviceCookie } from './cookies.ts'
import { accountBucket, addressBucket, countStrictly } from './limits.ts'

/** How an attempt to sign in was counted. */
export type Attempt = { email: string; device: string | undefined; account: string }

const unavailableMs = 5_000

/**
 * Counts an attempt at an account's password before it is made: by network; by account together with the network, or with
 * the device that has signed in to it before; and, from devices that it does not know, by account with growing delays. So
 * whoever guesses waits, and the owner on a device of theirs does not. See docs/decisions/0015.
 */
export async function countSignIn(c: Context<ApiEnv>, email: string): Promise<Attempt> {
  const { services } = c.get('gate')
  const { signInAddress, signInAccount } = services.limits
  const now = services.now()
  const shown = c.req.header('weir-device') ?? readDeviceCookie(c.req.header('cookie') ?? null)
  const device = shown === undefined ? undefined : await services.devices.read(shown, email, now)
  const network = await addressBucket(c, signInAddress)
  const { owner: account } = await accountBucket(signInAccount, email)
  const from = device === undefined ? network.owner.slice('public:'.length) : `device:${device}`
  const own = { policy: signInAccount, owner: `${account}:${from}` }
  if (device !== undefined) {
    await countStrictly(c, own)
    return { email, device, account }
  }
  await countStrictly(c, network, own)
  const delay = { free: 2 * signInAccount.limit, firstMs: 1_000, mostMs: signInAccount.windowMs }
  let waitMs: number
  try {
    waitMs = await countAttempt(services.cache, account, delay, now)
  } catch (error) {
    throw new Problem('unavailable', 'A service that Weir needs does not answer; try again soon.', {
      retryAfterMs: unavailableMs,
      cause: error,
    })
  }
  if (waitMs > 0) {
    c.get('log').reason = 'account_delayed'
    throw new Problem(
      'limited',
      'There were too many attempts for this address. Wait a little, sign in on a device where you have done so before, or ask for a link.',
      { retryAfterMs: waitMs },
    )
  }
  return { email, device, account }
}

export async function forgetAttemptsOf(c: Context<ApiEnv>, { account }: Attempt): Promise<void> {
  await forgetAttempts(c.get('gate').services.cache, account)
}

/** After the password was right: this device is known from now on. */
export async function rememberDevice(
  c: Context<ApiEnv>,
  { email, device, account }: Pick<Attempt, 'email'> & Partial<Attempt>,
): Promise<string> {
  const { services } = c.get('gate')
  const token = await services.devices.sign(email, services.now(), device)
  setDeviceCookie(c, token, deviceMs)
  if (account !== undefined && device === undefined) await forgetAttempts(services.cache, account)
  return token
}

/** Counts whoever is signed in and shows their password again: a stolen session is no place to guess it from. */
export async function countOwnPassword(c: Context<ApiEnv>): Promise<void> {
  const { tenantId, actor, services } = c.get('ctx')
  if (actor.kind !== 'user') return
  await countStrictly(c, {
    policy: services.limits.signInAccount,
    owner: `${tenantId}:own-password:${actor.userId}`,
  })
}
