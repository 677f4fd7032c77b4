import { Problem } from './problem.ts'

/** What a plan can bound: the first four by the month, the others at once. */
export const quotaNames = ['requests', 'runs', 'rows', 'computeMs', 'storageBytes', 'members'] as const
export type QuotaName = (typeof quotaNames)[number]

/** How a tenant stands with one quota; without `limit` there is none. */
export type QuotaStanding = { name: QuotaName; used: number; limit?: number; resetsAt?: string }

const words: Record<QuotaName, { thing: string; instead: string }> = {
  requests: { thing: 'requests to the API', instead: 'Reading usage and settings still works.' },
  runs: { thing: 'runs', instead: 'Runs that have begun go on.' },
  rows: { thing: 'rows moved', instead: 'Runs that have begun go on.' },
  computeMs: { thing: 'milliseconds of computing', instead: 'Runs that have begun go on.' },
  storageBytes: { thing: 'bytes stored', instead: 'Delete files or datasets, or upload less.' },
  members: { thing: 'members', instead: 'Take somebody out first.' },
}

/**
 * The 402: which quota, how much of it is used, and when there is some again.
 * @param noted whether the statement that refused has written it into the audit log
 */
export function quotaProblem(standing: QuotaStanding, noted = false): Problem {
  const { name, used, limit = used, resetsAt } = standing
  const { thing, instead } = words[name]
  const until = resetsAt === undefined ? '' : ` It begins anew at ${new Date(resetsAt).toISOString()}.`
  return new Problem(
    'quota_exceeded',
    `The plan allows ${limit} ${thing}${resetsAt === undefined ? '' : ' a month'} (quota: ${name}); ${used} are used.${until} ${instead}`,
    {
      noted,
      quota: {
        name,
        used,
        limit,
        ...(resetsAt === undefined ? {} : { resetsAt: new Date(resetsAt).toISOString() }),
      },
    },
  )
}
