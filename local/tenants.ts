import { parseArgs } from 'node:util'
import pg from 'pg'

const usage = `npm run tenants -- <command> <tenant id>

  status  <id>                    how the tenant stands, and what is left when it was erased
  suspend <id> --reason <words>   refuse its requests, stop its schedules and its runs
  resume  <id>                    let it go on

Set WEIR_OWNER_URL. With UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN it acts at once, without them within 30 s.`

/**
 * What the operator of the platform does to a tenant. Only the platform takes back what the platform has done.
 * @returns what to print
 */
export async function manageTenant(
  command: string,
  tenantId: string,
  options: {
    ownerUrl: string
    reason?: string | undefined
    redis?: { url: string; token: string } | undefined
  },
): Promise<string> {
  const client = new pg.Client({ connectionString: options.ownerUrl })
  await client.connect()
  try {
    await client.query('set role weir_system')
    const done = await act(client, command, tenantId, options.reason)
    if (command !== 'status' && options.redis) await forgetRecord(options.redis, tenantId)
    return done
  } finally {
    await client.end()
  }
}

async function act(client: pg.Client, command: string, tenantId: string, reason: string | undefined) {
  switch (command) {
    case 'status':
      return status(client, tenantId)
    case 'suspend': {
      if (!reason) throw new Error('Say why: --reason <words>. The tenant’s people read it.')
      await move(client, tenantId, 'platform', reason)
      return `${tenantId} is suspended.`
    }
    case 'resume':
      await move(client, tenantId, null, null)
      return `${tenantId} goes on.`
    default:
      throw new Error(usage)
  }
}

async function move(client: pg.Client, tenantId: string, by: string | null, reason: string | null) {
  const { rows } = await client.query<{ moved: boolean }>('select app.set_suspension($1, $2, $3) as moved', [
    tenantId,
    by,
    reason,
  ])
  if (!rows[0]?.moved) throw new Error(`There is no tenant ${tenantId}, or it is not suspended.`)
}

async function status(client: pg.Client, tenantId: string): Promise<string> {
  const tenant = await client.query<Record<string, unknown>>(
    `select name, created_at, suspended_at, suspended_by, suspended_reason, deletes_at from public.tenants where tenant_id = $1`,
    [tenantId],
  )
  const erasure = await client.query<Record<string, unknown>>(
    'select asked_at, stage, counts, finished_at from app.erasures where tenant = $1',
    [tenantId],
  )
  const [found, erased] = [tenant.rows[0], erasure.rows[0]]
  if (!found && !erased)
    throw new Error(`There is no tenant ${tenantId}, and there was none that was erased.`)
  const waits = erased && erased['finished_at'] === null ? { waitsFor: await waitsFor(client, tenantId) } : {}
  return JSON.stringify({ ...found, ...(erased ? { erasure: { ...erased, ...waits } } : {}) }, null, 2)
}

/** What has to end or to be dropped elsewhere before anything is taken away, and how often that was tried. */
async function waitsFor(client: pg.Client, tenantId: string): Promise<Record<string, unknown>[]> {
  const { rows } = await client.query<Record<string, unknown>>(
    `select 'run' as what, r.id as name, r.state, null::integer as attempts, null::timestamptz as next_attempt
     from public.runs r where r.tenant_id = $1 and r.finished_at is null
     union all
     select 'stage in a warehouse', '_weir_' || (o.payload->>'loadId') || ' beside ' || (o.payload->>'table'),
       'connection ' || coalesce(c.name, o.payload->>'connectionId'), o.attempts, o.send_after
     from public.outbox o left join public.connections c on c.tenant_id = o.tenant_id and c.id = o.payload->>'connectionId'
     where o.tenant_id = $1 and o.kind = 'connection.drop_stage'
     order by 1, 2 limit 100`,
    [tenantId],
  )
  return rows
}

async function forgetRecord(redis: { url: string; token: string }, tenantId: string): Promise<void> {
  const response = await fetch(redis.url, {
    method: 'POST',
    headers: { Authorization: `Bearer ${redis.token}` },
    body: JSON.stringify(['DEL', `${tenantId}:record`]),
  })
  if (!response.ok) throw new Error(`Redis answered ${response.status}; it acts within 30 s all the same.`)
}

if (import.meta.main) {
  const { WEIR_OWNER_URL, UPSTASH_REDIS_REST_URL: url, UPSTASH_REDIS_REST_TOKEN: token } = process.env
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { reason: { type: 'string' } },
  })
  const [command, tenantId] = positionals
  if (!WEIR_OWNER_URL || !command || !tenantId) {
    console.error(usage)
    process.exit(1)
  }
  try {
    const redis = url && token ? { url, token } : undefined
    console.log(
      await manageTenant(command, tenantId, { ownerUrl: WEIR_OWNER_URL, reason: values.reason, redis }),
    )
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error))
    process.exit(1)
  }
}
