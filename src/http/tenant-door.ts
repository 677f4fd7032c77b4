import type { Context as HonoContext } from 'hono'
import { isInRanges } from '#src/domain/address-range.ts'
import { Problem } from '#src/domain/problem.ts'
import type { ApiEnv } from './api.ts'

/** Only the address that the platform saw counts: what a request says of its own way is anybody's word. */
export function refuseUnlistedAddress(c: HonoContext<ApiEnv>): void {
  const { ipAllow } = c.get('ctx').tenant
  if (ipAllow.length > 0 && !isInRanges(c.env?.address, ipAllow))
    throw new Problem('forbidden', 'This tenant may not be reached from your address.')
}
