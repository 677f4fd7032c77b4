import { eraseKeys } from '#src/cache/erase.ts'
import {
  erasePeople,
  eraseRows,
  forgetLogs,
  forgetSpent,
  leftElsewhere,
  nextErasure,
  noteErasure,
  tenantsWithOldLogs,
  unwantedRuns,
  type Counts,
  type Erasure,
  type ErasureStage,
} from '#src/db/erasure.ts'
import { cancelRun } from '#src/db/run-moves.ts'
import type { Services } from './context.ts'

/** One tick's share of each, and one piece's. */
const most = {
  runs: 200,
  objects: 200,
  looks: 50,
  people: 100,
  rows: 5_000,
  spent: 2_000,
  tenants: 50,
  logs: 500,
}
/** How long one tick goes on with it. */
const budgetMs = 15_000
/** Longer than any piece takes; then another tick may go on. */
const leaseMs = 120_000
/** How often what others have to finish first is looked at. */
const againMs = 50_000
/** How long a warehouse that cannot be reached is waited for: the way in goes with the rest, and then nobody can clear up. */
const patienceMs = 7 * 24 * 60 * 60 * 1000

/** Stops what runs of tenants that are to end, or that the platform has suspended. */
export async function stopUnwantedRuns(services: Services): Promise<void> {
  for (const { tenantId, runId } of await unwantedRuns(services.database, most.runs))
    await cancelRun(services.database.tenant(tenantId, 'job:end'), runId)
}

/** The tick's share of taking away what is left of tenants whose time is over, a piece a turn. */
export async function eraseTenants(services: Services): Promise<void> {
  const until = services.now().getTime() + budgetMs
  while (services.now().getTime() < until) {
    const erasure = await nextErasure(services.database, leaseMs)
    if (!erasure) return
    try {
      const { stage, cursor, counts = {}, waitMs = 0 } = await erasePiece(services, erasure)
      await noteErasure(services.database, erasure.tenant, stage, cursor, counts, waitMs)
    } catch (error) {
      // The others' turn comes all the same.
      const { tenant, stage, cursor } = erasure
      services.log({ event: 'erase.failed', tenantId: tenant, stage, name: nameOf(error) })
      await noteErasure(services.database, tenant, stage, cursor ?? undefined, {}, againMs)
    }
  }
}

type Piece = { stage: ErasureStage; cursor?: string | undefined; counts?: Counts; waitMs?: number }

/** Does a bounded part of it, and says where the next one begins. Every part may be done twice. */
async function erasePiece(services: Services, { tenant, stage, cursor, askedAt }: Erasure): Promise<Piece> {
  const { database, cache } = services
  switch (stage) {
    case 'runs': {
      const { runs, stages } = await leftElsewhere(database, tenant)
      const isPatient = services.now().getTime() < new Date(askedAt).getTime() + patienceMs
      if (runs + stages.length > 0 && isPatient) return { stage, waitMs: againMs }
      // Whoever runs Weir can tell whose warehouse it is what to drop there.
      if (stages.length > 0) services.log({ event: 'erase.left_in_warehouse', tenantId: tenant, stages })
      return { stage: 'objects', counts: { 'left in warehouses': stages.length } }
    }
    case 'objects': {
      const objects = await eraseObjects(services, tenant)
      return objects === 0 ? { stage: 'people' } : { stage, counts: { objects } }
    }
    case 'people': {
      const accounts = await erasePeople(database, tenant, most.people)
      return accounts === 0 ? { stage: 'rows' } : { stage, counts: { accounts } }
    }
    case 'rows': {
      const counts = await eraseRows(database, tenant, most.rows)
      return { stage: isEmpty(counts) ? 'keys' : stage, counts }
    }
    case 'keys': {
      const { erased, cursor: next } = await eraseKeys(cache, tenant, cursor ?? undefined, most.looks)
      return { stage: next === undefined ? 'check' : stage, cursor: next, counts: { keys: erased } }
    }
    case 'check': {
      // What was under way when it began may have written since.
      const objects = await eraseObjects(services, tenant)
      const counts = { ...(await eraseRows(database, tenant, most.rows)), objects }
      return { stage: objects === 0 && isEmpty(counts) ? 'done' : 'objects', counts }
    }
    case 'done':
      return { stage }
  }
}

async function eraseObjects({ storage }: Services, tenant: Erasure['tenant']): Promise<number> {
  const { objects } = await storage.list(tenant, '', undefined, most.objects)
  const waiting = [...objects]
  const take = async (): Promise<void> => {
    for (let next = waiting.pop(); next; next = waiting.pop()) await storage.remove(next.key)
  }
  await Promise.all(Array.from({ length: 10 }, take))
  return objects.length
}

/** The tick's clearing away of what is spent and of logs that are kept for less time than their runs. */
export async function forgetWhatIsSpent(services: Services): Promise<void> {
  await forgetSpent(services.database, most.spent)
  for (const tenantId of await tenantsWithOldLogs(services.database, most.tenants)) {
    try {
      await forgetLogs(services.database, tenantId, most.logs)
    } catch (error) {
      services.log({ event: 'forget.failed', tenantId, name: nameOf(error) })
    }
  }
}

const isEmpty = (counts: Counts): boolean => Object.values(counts).every((count) => count === 0)
const nameOf = (error: unknown): string => (error instanceof Error ? error.name : typeof error)
