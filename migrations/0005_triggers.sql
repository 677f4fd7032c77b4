-- What starts a run without anybody asking for it at that moment.

-- Called by app.finish_run, in its transaction, as weir_engine: what follows from a run that is over. Returns the messages
-- to publish.
create function app.after_run(r public.runs, p_outcome text) returns jsonb
language sql
as $$ select '[]'::jsonb $$;
--> statement-breakpoint
-- Fires a schedule once: moves it on from the time that was due, and starts the run with its parameters' defaults.
-- Null when another tick was first.
create function app.fire_schedule(p_schedule text, p_due timestamptz, p_next timestamptz, p_run text)
returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.enter();
  pipeline text;
begin
  update public.schedules set next_fire_at = p_next
  where tenant_id = tenant and id = p_schedule and next_fire_at = p_due
  returning pipeline_id into pipeline;
  if pipeline is null then
    return null;
  end if;
  return app.start_run(p_run, pipeline, 'schedule', '{}');
end
$$;
--> statement-breakpoint
alter function app.fire_schedule(text, timestamptz, timestamptz, text) owner to weir_engine;
--> statement-breakpoint
revoke all on function app.fire_schedule(text, timestamptz, timestamptz, text) from public;
--> statement-breakpoint
grant execute on function app.fire_schedule(text, timestamptz, timestamptz, text) to weir_app;
--> statement-breakpoint
-- Schedules whose time has come, of every tenant.
create function app.due_schedules(p_limit integer)
returns table (tenant_id text, id text, pipeline_id text, cron text, timezone text, next_fire_at timestamptz)
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
  select s.tenant_id, s.id, s.pipeline_id, s.cron, s.timezone, s.next_fire_at
  from public.schedules s
  join public.pipelines p on p.tenant_id = s.tenant_id and p.id = s.pipeline_id and p.deleted_at is null
  where s.next_fire_at <= now() order by s.next_fire_at limit p_limit
$$;
--> statement-breakpoint
alter function app.due_schedules(integer) owner to weir_system;
--> statement-breakpoint
revoke all on function app.due_schedules(integer) from public;
--> statement-breakpoint
grant execute on function app.due_schedules(integer) to weir_app;
--> statement-breakpoint
revoke create on schema app from weir_system, weir_engine;
