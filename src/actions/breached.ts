import { Problem } from '#src/domain/problem.ts'
import type { Services } from './context.ts'

/** Refuses a new password that everybody tries first: there are no other rules than its length. */
export async function refuseKnownPassword(
  services: Services,
  password: string,
  path = 'password',
): Promise<void> {
  if (!(await services.isKnownPassword(password))) return
  throw new Problem('invalid', 'Some fields are not valid.', {
    fields: [{ path, message: 'is known from stolen lists of passwords; choose another one' }],
  })
}
