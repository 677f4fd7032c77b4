import { sql } from 'drizzle-orm'
import type { CalendarDays } from '#src/domain/calendar.ts'
import type { Id } from '#src/domain/id.ts'
import { notFound, Problem } from '#src/domain/problem.ts'
import type { TenantDb } from './database.ts'

export type Calendar = {
  id: Id<'calendar'>
  name: string
  days: CalendarDays
  version: number
  createdAt: Date
  updatedAt: Date
}

const columns = sql`id, name, days, version, created_at, updated_at`

const toCalendar = (row: Record<string, unknown>): Calendar => ({
  id: row['id'] as Calendar['id'],
  name: row['name'] as string,
  days: row['days'] as CalendarDays,
  version: row['version'] as number,
  createdAt: new Date(row['created_at'] as string),
  updatedAt: new Date(row['updated_at'] as string),
})

export async function insertCalendar(
  db: TenantDb,
  { id, name, days }: Pick<Calendar, 'id' | 'name' | 'days'>,
): Promise<Calendar> {
  const [{ rows }] = await db.run(
    db.sql.execute(sql`
      insert into calendars (tenant_id, id, name, days) values (${db.tenantId}, ${id}, ${name}, ${JSON.stringify(days)}::jsonb)
      on conflict do nothing returning ${columns}`),
  )
  if (!rows[0]) throw new Problem('conflict', `There is a calendar named "${name}" already.`)
  return toCalendar(rows[0])
}

export async function getCalendar(db: TenantDb, id: Calendar['id']): Promise<Calendar> {
  const [{ rows }] = await db.run(
    db.sql.execute(sql`select ${columns} from calendars where tenant_id = ${db.tenantId} and id = ${id}`),
  )
  if (!rows[0]) throw notFound('calendar')
  return toCalendar(rows[0])
}

/** By id; one row more than `limit` says that there are further ones. */
export async function listCalendars(
  db: TenantDb,
  after: Calendar['id'] | undefined,
  limit: number,
): Promise<Calendar[]> {
  const [{ rows }] = await db.run(
    db.sql.execute(sql`
      select ${columns} from calendars
      where tenant_id = ${db.tenantId} and (${after ?? null}::text is null or id > ${after ?? null})
      order by id limit ${limit + 1}`),
  )
  return rows.map(toCalendar)
}

/** The days of those that there are, by name. */
export async function daysOfCalendars(
  db: TenantDb,
  names: readonly string[],
): Promise<Map<string, CalendarDays>> {
  if (names.length === 0) return new Map()
  const [{ rows }] = await db.run(
    db.sql.execute(sql`
      select ${columns} from calendars
      where tenant_id = ${db.tenantId} and name in (select jsonb_array_elements_text(${JSON.stringify(names)}::jsonb))`),
  )
  return new Map(rows.map(toCalendar).map(({ name, days }) => [name, days]))
}

export type CalendarSchedule = {
  id: Id<'schedule'>
  cron: string
  timezone: string
  jitterMs: number
  next: string | null
}

/** The schedules of a calendar that have nothing to catch up on: those for which a change of its days matters. */
export async function schedulesOfCalendar(db: TenantDb, name: string): Promise<CalendarSchedule[]> {
  const [{ rows }] = await db.run(
    db.sql.execute(sql`
      select id, cron, timezone, jitter_ms as "jitterMs", next_fire_at::text as next from schedules
      where tenant_id = ${db.tenantId} and calendar = ${name} and coalesce(next_fire_at > now(), true)`),
  )
  return rows as CalendarSchedule[]
}

/** Changes the days, and with them the times of schedules that have not fired meanwhile; undefined when it has changed. */
export async function changeCalendar(
  db: TenantDb,
  id: Calendar['id'],
  version: number,
  days: CalendarDays,
  schedules: readonly { id: Id<'schedule'>; was: string | null; next: Date | null; delayMs: number }[],
): Promise<Calendar | undefined> {
  const [{ rows }] = await db.run(
    db.sql.execute(sql`
      update calendars set days = ${JSON.stringify(days)}::jsonb, version = version + 1, updated_at = now()
      where tenant_id = ${db.tenantId} and id = ${id} and version = ${version} returning ${columns}`),
    db.sql.execute(sql`
      update schedules s set next_fire_at = n.next, delay_ms = n."delayMs", announced_at = null
      from jsonb_to_recordset(${JSON.stringify(schedules)}::jsonb) as n(id text, was timestamptz, next timestamptz, "delayMs" integer)
      where s.tenant_id = ${db.tenantId} and s.id = n.id and s.next_fire_at is not distinct from n.was
        and n.next is distinct from n.was
        and exists (select from calendars c where c.tenant_id = s.tenant_id and c.id = ${id} and c.version = ${version + 1})`),
  )
  return rows[0] && toCalendar(rows[0])
}

/** Deletes the calendar where no schedule goes by it. */
export async function deleteCalendar(
  db: TenantDb,
  id: Calendar['id'],
  expected: readonly number[] | 'any',
): Promise<'deleted' | 'changed'> {
  const versions = JSON.stringify(expected === 'any' ? null : expected)
  const [gone, left] = await db.run(
    db.sql.execute(sql`
      delete from calendars c
      where c.tenant_id = ${db.tenantId} and c.id = ${id}
        and (jsonb_typeof(${versions}::jsonb) = 'null' or ${versions}::jsonb @> to_jsonb(c.version))
        and not exists (select from schedules s where s.tenant_id = c.tenant_id and s.calendar = c.name)
      returning id`),
    db.sql.execute(sql`
      select c.version, (
        select string_agg(distinct '"' || p.name || '"', ', ') from schedules s
        join pipelines p on p.tenant_id = s.tenant_id and p.id = s.pipeline_id
        where s.tenant_id = c.tenant_id and s.calendar = c.name) as used
      from calendars c where c.tenant_id = ${db.tenantId} and c.id = ${id}`),
  )
  if (gone.rows.length > 0) return 'deleted'
  const [row] = left.rows
  if (!row) throw notFound('calendar')
  if (expected !== 'any' && !expected.includes(row['version'] as number)) return 'changed'
  throw new Problem('conflict', `Schedules go by this calendar: ${String(row['used'])}.`)
}
