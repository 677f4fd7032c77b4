import { noteRefusedSignIn } from '#src/db/audit.ts'
import type { RequestOrigin } from '#src/domain/audit.ts'
import type { Services } from './context.ts'

/**
 * Notes that somebody tried to come in as a person that there is, in the logs of that person's tenants. To be left to
 * after the answer: how long it takes would tell whether there is such a person.
 */
export const noteRefusal = (
  { database }: Services,
  email: string,
  reason: string,
  origin: RequestOrigin,
): Promise<void> => noteRefusedSignIn(database, email, reason, origin)
