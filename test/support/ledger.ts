import type pg from 'pg'

/** One connection, or a pool of them where questions are asked at the same time. */
export type Sql = Pick<pg.Client, 'query'>

/** What a finished run may have left behind, each of it to be nothing. */
export type Leftovers = {
  unfinished: number
  running: number
  leases: number
  wakes: number
  eventGaps: number
}

export const nothing: Leftovers = { unfinished: 0, running: 0, leases: 0, wakes: 0, eventGaps: 0 }

/** What the run still holds, as the database's owner sees it. */
export async function leftovers(owner: Sql, runId: string): Promise<Leftovers> {
  const { rows } = await owner.query<Leftovers>(
    `select r.unfinished,
       (select count(*)::int from steps where run_id = r.id and state not in ('succeeded', 'failed', 'skipped', 'cancelled')) as running,
       (select count(*)::int from steps where run_id = r.id and lease_until is not null) as leases,
       (select count(*)::int from outbox where kind = 'run' and payload->>'runId' = r.id) as wakes,
       (select count(*)::int from generate_series(1, r.events) n
        where not exists (select from run_events e where e.run_id = r.id and e.seq = n))
       + (select count(*)::int from run_events where run_id = r.id and seq not between 1 and r.events) as "eventGaps"
     from runs r where r.id = $1`,
    [runId],
  )
  const [row] = rows
  if (!row) throw new Error(`there is no run ${runId}`)
  return row
}

export async function runState(owner: Sql, runId: string): Promise<string> {
  const { rows } = await owner.query<{ state: string }>('select state from runs where id = $1', [runId])
  return rows[0]?.state ?? 'unknown'
}

/** The table of a dataset's current version. */
export async function tableOf(owner: Sql, tenantId: string, dataset: string): Promise<string> {
  const { rows } = await owner.query<{ version: string }>(
    'select current_version_id as version from datasets where tenant_id = $1 and name = $2 and current_version_id is not null',
    [tenantId, dataset],
  )
  if (!rows[0]) throw new Error(`dataset ${dataset} has no version`)
  return `data."${rows[0].version}"`
}

export type Tally = { rows: number; distinct: number; sum: number }

/** How many rows a table has, how many different ids, and their sum: a row lost or there twice shows in it. */
export async function tally(client: Sql, table: string, id = 'id'): Promise<Tally> {
  const { rows } = await client.query<Tally>(
    `select count(*)::float8 as rows, count(distinct ${id})::float8 as distinct, coalesce(sum(${id}), 0)::float8 as sum from ${table}`,
  )
  if (!rows[0]) throw new Error('no row')
  return rows[0]
}

/** What a table of the ids 1 to n must tally to. */
export const tallyOf = (n: number): Tally => ({ rows: n, distinct: n, sum: (n * (n + 1)) / 2 })

/** How often each kind of event happened to a step. */
export async function happened(owner: Sql, runId: string, step: string): Promise<Record<string, number>> {
  const { rows } = await owner.query<{ type: string; times: number }>(
    `select type, count(*)::int as times from run_events where run_id = $1 and step_key = $2 group by type`,
    [runId, step],
  )
  return Object.fromEntries(rows.map(({ type, times }) => [type, times]))
}

export type StepRow = { state: string; attempt: number; fence: number; rows_in: number; rows_out: number }

export async function stepRow(
  client: Sql,
  runId: string,
  step: string,
  lock: '' | 'for update' = '',
): Promise<StepRow> {
  const { rows } = await client.query<StepRow>(
    `select state, attempt, fence::int, rows_in::int, rows_out::int from steps where run_id = $1 and key = $2 ${lock}`,
    [runId, step],
  )
  if (!rows[0]) throw new Error(`run ${runId} has no step ${step}`)
  return rows[0]
}

/** Lets a tenant's outbox be a minute older than it is, so that the next tick sends what waits in it. */
export async function ageOutbox(owner: Sql, tenantId: string): Promise<void> {
  await owner.query(`update outbox set send_after = send_after - interval '61 s' where tenant_id = $1`, [
    tenantId,
  ])
}

/** How many statements with this text the server is executing now. */
export async function executing(owner: Sql, text: string): Promise<number> {
  const { rows } = await owner.query<{ found: number }>(
    `select count(*)::int as found from pg_stat_activity where state = 'active' and position($1 in query) > 0 and pid <> pg_backend_pid()`,
    [text],
  )
  return rows[0]?.found ?? 0
}

export type RunEvent = {
  type: string
  step_key: string | null
  at: Date
  data: Record<string, unknown> | null
}

export async function eventsOf(owner: Sql, runId: string): Promise<RunEvent[]> {
  const { rows } = await owner.query<RunEvent>(
    'select type, step_key, at, data from run_events where run_id = $1 order by seq',
    [runId],
  )
  return rows
}
