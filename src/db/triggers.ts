import { sql, type SQL } from 'drizzle-orm'
import type { Id, PipelineId, PipelineVersionId } from '#src/domain/id.ts'
import type { TenantDb } from './database.ts'

/** A trigger without a time, as saving a version makes it; the key says which of the version before it is the same one. */
export type NewTrigger = {
  id: Id<'trigger'>
  key: string
  kind: 'dataset' | 'pipeline' | 'webhook'
  definition: { when?: 'any' | 'all'; on?: readonly string[] }
  /** The datasets or the pipeline that it listens to, by name. */
  sources: readonly string[]
}

/** Stores the triggers of a version where it was stored; those that were there stay as they are. */
export const saveTriggers = (
  db: TenantDb,
  pipelineId: PipelineId,
  versionId: PipelineVersionId,
  triggers: readonly NewTrigger[],
): SQL => sql`
  with wanted as (
    select v.tenant_id, v.pipeline_id, t.*
    from pipeline_versions v
    cross join jsonb_to_recordset(${JSON.stringify(triggers)}::jsonb)
      as t(id text, key text, kind text, definition jsonb, sources text[])
    where v.tenant_id = ${db.tenantId} and v.id = ${versionId} and v.pipeline_id = ${pipelineId}
  ), made as (
    insert into triggers (tenant_id, id, pipeline_id, key, kind, definition)
    select tenant_id, id, pipeline_id, key, kind, definition from wanted
    on conflict (tenant_id, pipeline_id, key) do nothing
    returning tenant_id, id)
  insert into trigger_sources (tenant_id, kind, name, trigger_id)
  select m.tenant_id, w.kind, source, m.id
  from made m join wanted w on w.id = m.id cross join unnest(w.sources) source`
