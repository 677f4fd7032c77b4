/** At most `limit` requests in any `windowMs`, counted under this name. */
export type Policy = { readonly name: string; readonly limit: number; readonly windowMs: number }

export type Limits = {
  readonly user: Policy
  readonly apiKey: Policy
  /** Whoever shows no valid credential, by address. */
  readonly address: Policy
  readonly signInAddress: Policy
  readonly signInAccount: Policy
}

const minute = 60_000

export const defaultLimits: Limits = {
  user: { name: 'user', limit: 100, windowMs: minute },
  apiKey: { name: 'api-key', limit: 1000, windowMs: minute },
  address: { name: 'address', limit: 30, windowMs: minute },
  signInAddress: { name: 'sign-in-address', limit: 10, windowMs: 15 * minute },
  signInAccount: { name: 'sign-in-account', limit: 10, windowMs: 15 * minute },
}
