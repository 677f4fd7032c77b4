import * as z from 'zod'
import { permission } from './role.ts'

/** What every request must know of its tenant. */
export const tenantRecord = z.object({
  suspended: z.boolean(),
  /** When a deleted tenant is erased; until then it can be had back. */
  deletesAt: z.string().optional(),
  /** Networks that requests may come from; none is everywhere. */
  ipAllow: z.array(z.string()),
  /** Sites whose pages may call for the tenant. */
  origins: z.array(z.string()),
  /** Requests a minute, where they are not the usual ones. */
  limits: z.object({
    user: z.number().optional(),
    apiKey: z.number().optional(),
    /** Of all its users and keys together. */
    tenant: z.number().optional(),
  }),
  /** Names of quotas that are used up. */
  overQuota: z.array(z.string()),
  requireSso: z.boolean(),
  /** Roles that need a second factor. */
  mfaRoles: z.array(z.string()),
  /** What the tenant's own roles allow. A permission that is no more is left out. */
  roles: z.record(
    z.string(),
    z
      .array(z.string())
      .transform(
        (all) => all.filter((one) => permission.safeParse(one).success) as z.output<typeof permission>[],
      ),
  ),
})
export type TenantRecord = Readonly<z.output<typeof tenantRecord>>
