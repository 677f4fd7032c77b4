/** At most `limit` requests in any `windowMs`, counted under this name. */
export type Policy = { readonly name: string; readonly limit: number; readonly windowMs: number }

export type Limits = {
  readonly user: Policy
  readonly apiKey: Policy
  /** All users and keys of a tenant together, where its plan says nothing else. */
  readonly tenant: Policy
  /** Whoever shows no valid credential, by address. */
  readonly address: Policy
  readonly signInAddress: Policy
  /** An account from one network or one known device; from all others it slows down after twice as many. */
  readonly signInAccount: Policy
  /** Exchanged refresh tokens: a whole office may be behind one address. */
  readonly refreshAddress: Policy
  /** Codes of a second factor, by person. */
  readonly factor: Policy
}

const minute = 60_000

export const defaultLimits: Limits = {
  user: { name: 'user', limit: 100, windowMs: minute },
  apiKey: { name: 'api-key', limit: 1000, windowMs: minute },
  tenant: { name: 'tenant', limit: 1_000_000, windowMs: minute },
  address: { name: 'address', limit: 30, windowMs: minute },
  signInAddress: { name: 'sign-in-address', limit: 10, windowMs: 15 * minute },
  signInAccount: { name: 'sign-in-account', limit: 10, windowMs: 15 * minute },
  refreshAddress: { name: 'refresh-address', limit: 2000, windowMs: minute },
  factor: { name: 'factor', limit: 5, windowMs: 5 * minute },
}
