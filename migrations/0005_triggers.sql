-- What starts a run without anybody asking for it at that moment: schedules, the ends of other runs, signed events and
-- backfills. Whatever follows from the end of a run is started in the transaction that ends it, so nothing is lost and
-- nothing happens twice. Locks are taken in the order schedule, run, tenant, pipeline, backfill, trigger.

-- Days for schedules. {"weekdays": [1..7], "include": [dates], "exclude": [dates]}
create table public.calendars (
  tenant_id text not null references public.tenants (tenant_id),
  id text not null,
  name text not null,
  days jsonb not null,
  version integer not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id)
);
--> statement-breakpoint
create unique index calendars_name on public.calendars (tenant_id, name);
--> statement-breakpoint
-- next_fire_at is the time that is due and that the run stands for; it fires delay_ms later, by its jitter. Whoever fires
-- moves next_fire_at on where it still is the time that was due: that makes one run of each time. A schedule keeps its row
-- (key) from version to version, so a time that is due while a version is saved is neither lost nor fired twice.
alter table public.schedules
  add column key text not null default '',
  add column calendar text,
  add column catch_up text not null default 'last' check (catch_up in ('all', 'last', 'none')),
  add column overlap text not null default 'queue' check (overlap in ('skip', 'queue', 'cancel', 'allow')),
  add column jitter_ms integer not null default 0,
  add column parameters jsonb not null default '{}',
  add column version integer,
  add column delay_ms integer not null default 0,
  add column announced_at timestamptz,
  add column overdue_since timestamptz,
  alter column next_fire_at drop not null;
--> statement-breakpoint
create unique index schedules_key on public.schedules (tenant_id, pipeline_id, key);
--> statement-breakpoint
-- Times that have come while a scheduled run of the pipeline was under way, where they wait for each other.
create table public.waiting_fires (
  tenant_id text not null,
  pipeline_id text not null,
  due timestamptz not null,
  schedule_id text not null,
  version integer,
  parameters jsonb not null,
  primary key (tenant_id, pipeline_id, due, schedule_id),
  foreign key (tenant_id, pipeline_id) references public.pipelines (tenant_id, id)
);
--> statement-breakpoint
-- The other triggers of a pipeline. They keep their row too: its id is the address of a webhook.
create table public.triggers (
  tenant_id text not null,
  id text not null,
  pipeline_id text not null,
  key text not null,
  kind text not null check (kind in ('dataset', 'pipeline', 'webhook')),
  definition jsonb not null,
  secrets jsonb not null default '[]',
  created_at timestamptz not null default now(),
  primary key (tenant_id, id),
  foreign key (tenant_id, pipeline_id) references public.pipelines (tenant_id, id)
);
--> statement-breakpoint
create unique index triggers_key on public.triggers (tenant_id, pipeline_id, key);
--> statement-breakpoint
create unique index triggers_webhook on public.triggers (id) where kind = 'webhook';
--> statement-breakpoint
-- What a trigger listens to, by name; updated: since the trigger last fired, where it waits for all of them.
create table public.trigger_sources (
  tenant_id text not null,
  kind text not null check (kind in ('dataset', 'pipeline')),
  name text not null,
  trigger_id text not null,
  updated boolean not null default false,
  primary key (tenant_id, kind, name, trigger_id),
  foreign key (tenant_id, trigger_id) references public.triggers (tenant_id, id) on delete cascade
);
--> statement-breakpoint
create index trigger_sources_trigger on public.trigger_sources (tenant_id, trigger_id);
--> statement-breakpoint
-- Events that have been taken, for as long as their signature could be shown again.
create table public.webhook_receipts (
  tenant_id text not null,
  trigger_id text not null,
  webhook_id text not null,
  body_hash text not null,
  run_id text not null,
  received_at timestamptz not null default now(),
  primary key (tenant_id, trigger_id, webhook_id),
  foreign key (tenant_id, trigger_id) references public.triggers (tenant_id, id) on delete cascade
);
--> statement-breakpoint
create index webhook_receipts_age on public.webhook_receipts (received_at);
--> statement-breakpoint
-- times are in the order in which they are to be run; the first `taken` of them have a run or were skipped.
create table public.backfills (
  tenant_id text not null,
  id text not null,
  pipeline_id text not null,
  version integer not null,
  state text not null default 'running' check (state in ('running', 'paused', 'cancelled', 'finished')),
  asked jsonb not null,
  parameters jsonb not null,
  times timestamptz[] not null,
  concurrency integer not null check (concurrency between 1 and 100),
  skip_succeeded boolean not null,
  taken integer not null default 0,
  skipped integer not null default 0,
  running integer not null default 0,
  succeeded integer not null default 0,
  failed integer not null default 0,
  cancelled integer not null default 0,
  created_by text not null,
  created_at timestamptz not null default now(),
  finished_at timestamptz,
  primary key (tenant_id, id),
  foreign key (tenant_id, pipeline_id) references public.pipelines (tenant_id, id)
);
--> statement-breakpoint
create index backfills_pipeline on public.backfills (tenant_id, pipeline_id, id);
--> statement-breakpoint
-- How many runs started each other before this one; a chain of triggers that comes back to itself ends by it.
alter table public.runs add column depth smallint not null default 0;
--> statement-breakpoint
create index runs_scheduled_for on public.runs (tenant_id, pipeline_id, scheduled_for) where scheduled_for is not null;
--> statement-breakpoint
do $$
declare
  t regclass;
begin
  foreach t in array array['calendars', 'waiting_fires', 'triggers', 'trigger_sources', 'webhook_receipts', 'backfills']::regclass[] loop
    call app.wall(t);
  end loop;
end
$$;
--> statement-breakpoint
grant select, insert, update, delete on public.calendars, public.triggers to weir_app;
--> statement-breakpoint
grant select, insert, delete on public.trigger_sources to weir_app;
--> statement-breakpoint
grant select on public.backfills to weir_app;
--> statement-breakpoint
-- An id as newId of src/domain/id.ts makes them: 48 bits of milliseconds, 80 of chance.
create function app.new_id(p_prefix text) returns text
language sql volatile
as $$
  select p_prefix || '_'
    || (select string_agg(substr('0123456789abcdefghjkmnpqrstvwxyz', ((t.ms >> (5 * i)) & 31)::integer + 1, 1), '' order by i desc)
        from generate_series(0, 9) i)
    || (select string_agg(substr('0123456789abcdefghjkmnpqrstvwxyz', (get_byte(t.noise, i) & 31) + 1, 1), '' order by i)
        from generate_series(0, 15) i)
  from (
    select (extract(epoch from clock_timestamp()) * 1000)::bigint as ms,
      sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) as noise) t
$$;
--> statement-breakpoint
-- Starts a run and gives its wake-ups: none when the pipeline is gone, or does not start with these options.
create function app.start_and_wake(p_pipeline text, p_trigger text, p_options jsonb) returns jsonb
language plpgsql
as $$
declare
  run text := app.new_id('run');
  started jsonb := app.start_run(run, p_pipeline, p_trigger, jsonb_strip_nulls(p_options));
begin
  return case when started ? 'outboxId' then jsonb_build_array(jsonb_build_object('id', started->'outboxId', 'runId', run)) end;
end
$$;
--> statement-breakpoint
-- Whether a run that a schedule started is under way, other than p_run.
create function app.has_scheduled_run(p_tenant text, p_pipeline text, p_run text) returns boolean
language sql stable
as $$
  select exists (
    select from public.runs q
    where q.tenant_id = p_tenant and q.pipeline_id = p_pipeline and q.finished_at is null
      and q.state in ('queued', 'running', 'waiting', 'cancelling') and q.trigger = 'schedule' and q.id <> p_run)
$$;
--> statement-breakpoint
-- Starts a run for each of these times of a schedule, as far as its rule for overlaps lets it; the schedule's row is held.
-- The pipeline's row makes a scheduled run that ends and a time that would have to wait for it see each other. A time that did
-- not begin a run is one for which none can wait; refused are those of them that a quota did not let begin.
create function app.start_times(s public.schedules, p_times timestamptz[], out wakes jsonb, out skipped integer, out refused integer)
language plpgsql
as $$
declare
  busy boolean := false;
  other text;
  due timestamptz;
  run text;
  started jsonb;
begin
  wakes := '[]';
  skipped := 0;
  refused := 0;
  if s.overlap in ('skip', 'queue') then
    perform from public.pipelines where tenant_id = s.tenant_id and id = s.pipeline_id for no key update;
    busy := app.has_scheduled_run(s.tenant_id, s.pipeline_id, '') or exists (
      select from public.waiting_fires w where w.tenant_id = s.tenant_id and w.pipeline_id = s.pipeline_id);
  elsif s.overlap = 'cancel' and cardinality(p_times) > 0 then
    for other in
      select q.id from public.runs q
      where q.tenant_id = s.tenant_id and q.pipeline_id = s.pipeline_id and q.finished_at is null
        and q.trigger = 'schedule' and q.state in ('queued', 'running', 'waiting')
      order by q.id
    loop
      wakes := wakes || coalesce(app.stop_run(s.tenant_id, other)->'wakes', '[]');
    end loop;
    skipped := cardinality(p_times) - 1;
    p_times := p_times[cardinality(p_times):];
  end if;
  foreach due in array p_times loop
    if not busy then
      run := app.new_id('run');
      started := app.start_run(run, s.pipeline_id, 'schedule', jsonb_strip_nulls(jsonb_build_object(
        'parameters', s.parameters, 'version', s.version, 'checkedFor', s.version, 'scheduledFor', due)));
      if started ? 'outboxId' then
        wakes := wakes || jsonb_build_object('id', started->'outboxId', 'runId', run);
        busy := s.overlap in ('skip', 'queue');
      elsif started->>'refused' = 'quota' then
        refused := refused + 1;
      end if;
    elsif s.overlap = 'queue' and (
      select count(*) from public.waiting_fires w where w.tenant_id = s.tenant_id and w.pipeline_id = s.pipeline_id) < 1000
    then
      insert into public.waiting_fires (tenant_id, pipeline_id, due, schedule_id, version, parameters)
      values (s.tenant_id, s.pipeline_id, due, s.id, s.version, s.parameters)
      on conflict do nothing;
    else
      skipped := skipped + 1;
    end if;
  end loop;
end
$$;
--> statement-breakpoint
-- Fires schedules of one tenant: p_fires is [{"id", "due", "times": [those to start a run for], "next", "delayMs"}]. One whose
-- time is not `due` any more, or whose pipeline is paused or gone, is passed over. Those that cancel runs come first: they
-- lock runs, and nobody may want a run who holds a pipeline. Returns {"fired", "skipped", "refused" (times that a quota did not let
-- begin a run), "wakes"}.
create function app.fire_schedules(p_fires jsonb) returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.enter();
  f record;
  s public.schedules;
  begun record;
  fired integer := 0;
  skipped integer := 0;
  refused integer := 0;
  wakes jsonb := '[]';
begin
  perform app.guard_wide('R', 'runs:write');
  for f in
    select g.* from jsonb_to_recordset(p_fires)
      as g(id text, due timestamptz, times timestamptz[], next timestamptz, "delayMs" integer)
    join public.schedules t on t.tenant_id = tenant and t.id = g.id
    order by t.overlap = 'cancel' desc, g.id
  loop
    update public.schedules t
    set next_fire_at = f.next, delay_ms = f."delayMs", announced_at = null, overdue_since = null
    from public.pipelines p
    where t.tenant_id = tenant and t.id = f.id and t.next_fire_at = f.due
      and p.tenant_id = tenant and p.id = t.pipeline_id and p.deleted_at is null and p.paused_at is null
    returning t.* into s;
    if found then
      begun := app.start_times(s, coalesce(f.times, '{}'));
      fired := fired + 1;
      skipped := skipped + begun.skipped;
      refused := refused + begun.refused;
      wakes := wakes || begun.wakes;
    end if;
  end loop;
  return jsonb_build_object('fired', fired, 'skipped', skipped, 'refused', refused, 'wakes', wakes);
end
$$;
--> statement-breakpoint
-- Schedules of every tenant that fire within p_ahead, each given out once; and again when its time has passed and nobody
-- has fired it. Those of paused pipelines keep their time, and what they have missed is for their rule to catch up on.
create function app.due_schedules(p_ahead interval, p_limit integer)
returns table (tenant_id text, id text, cron text, timezone text, days jsonb, has_calendar boolean, catch_up text,
  jitter_ms integer, next_fire_at timestamptz, fires_at timestamptz)
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
  update public.schedules s
  set announced_at = now(), overdue_since = case when s.next_fire_at + s.delay_ms * interval '1 ms' < now() - interval '5 s'
    then coalesce(s.overdue_since, now()) end
  from (
    select t.tenant_id, t.id from public.schedules t
    join public.pipelines p on p.tenant_id = t.tenant_id and p.id = t.pipeline_id
    where t.next_fire_at <= now() + p_ahead and t.next_fire_at + t.delay_ms * interval '1 ms' <= now() + p_ahead
      and (t.announced_at is null
        or t.next_fire_at + t.delay_ms * interval '1 ms' < now() - interval '5 s' and t.announced_at < now() - interval '30 s')
      and p.deleted_at is null and p.paused_at is null
    order by t.next_fire_at limit p_limit
    for no key update of t skip locked) d
  where s.tenant_id = d.tenant_id and s.id = d.id
  returning s.tenant_id, s.id, s.cron, s.timezone,
    (select c.days from public.calendars c where c.tenant_id = s.tenant_id and c.name = s.calendar),
    s.calendar is not null, s.catch_up, s.jitter_ms, s.next_fire_at, s.next_fire_at + s.delay_ms * interval '1 ms'
$$;
--> statement-breakpoint
-- Schedules, of every tenant, that a tick found past their time longer ago than p_grace and that have not fired since.
create function app.late_schedules(p_grace interval)
returns table (tenant_id text, schedule_id text, pipeline_id text, due_at timestamptz)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select s.tenant_id, s.id, s.pipeline_id, s.next_fire_at
  from public.schedules s
  join public.pipelines p on p.tenant_id = s.tenant_id and p.id = s.pipeline_id
  where s.next_fire_at < now() and s.overdue_since < now() - p_grace and p.deleted_at is null and p.paused_at is null
$$;
--> statement-breakpoint
-- A run that a schedule started is over: the oldest time that waits for it goes next.
create function app.start_waiting(r public.runs) returns jsonb
language plpgsql
as $$
declare
  w public.waiting_fires;
  wakes jsonb;
begin
  perform from public.pipelines where tenant_id = r.tenant_id and id = r.pipeline_id for no key update;
  if app.has_scheduled_run(r.tenant_id, r.pipeline_id, r.id) then
    return '[]';
  end if;
  loop
    delete from public.waiting_fires t
    where (t.tenant_id, t.pipeline_id, t.due, t.schedule_id) = (
      select o.tenant_id, o.pipeline_id, o.due, o.schedule_id from public.waiting_fires o
      where o.tenant_id = r.tenant_id and o.pipeline_id = r.pipeline_id
      order by o.due, o.schedule_id limit 1)
    returning t.* into w;
    if not found then
      return '[]';
    end if;
    wakes := app.start_and_wake(w.pipeline_id, 'schedule', jsonb_build_object(
      'parameters', w.parameters, 'version', w.version, 'checkedFor', w.version, 'scheduledFor', w.due));
    if wakes is not null then
      return wakes;
    end if;
  end loop;
end
$$;
--> statement-breakpoint
-- Starts runs of a locked backfill while it has room and times left, and stores how it stands.
create function app.advance_backfill(b public.backfills) returns jsonb
language plpgsql
as $$
declare
  times timestamptz[] := b.times;
  wakes jsonb := '[]';
  run text;
  started jsonb;
begin
  while b.state = 'running' and b.running < b.concurrency and b.taken < cardinality(times) loop
    if b.skip_succeeded and exists (
      select from public.runs q
      where q.tenant_id = b.tenant_id and q.pipeline_id = b.pipeline_id and q.scheduled_for = times[b.taken + 1]
        and q.state in ('succeeded', 'succeeded_with_warnings'))
    then
      b.skipped := b.skipped + 1;
    else
      run := app.new_id('run');
      started := app.start_run(run, b.pipeline_id, 'backfill', jsonb_strip_nulls(jsonb_build_object('parameters', b.parameters,
        'version', b.version, 'checkedFor', b.version, 'scheduledFor', times[b.taken + 1], 'backfillId', b.id)));
      if not coalesce(started ? 'outboxId', false) then
        -- It goes on by hand when the plan allows more.
        b.state := case when started->>'refused' = 'quota' then 'paused' else 'cancelled' end;
        exit;
      end if;
      wakes := wakes || jsonb_build_object('id', started->'outboxId', 'runId', run);
      b.running := b.running + 1;
    end if;
    b.taken := b.taken + 1;
  end loop;
  if b.state = 'running' and b.taken = cardinality(times) and b.running = 0 then
    b.state := 'finished';
  end if;
  update public.backfills t
  set state = b.state, taken = b.taken, skipped = b.skipped, running = b.running, succeeded = b.succeeded, failed = b.failed,
    cancelled = b.cancelled,
    finished_at = case when b.running = 0 and b.state in ('finished', 'cancelled') then coalesce(t.finished_at, clock_timestamp()) end
  where t.tenant_id = b.tenant_id and t.id = b.id;
  return wakes;
end
$$;
--> statement-breakpoint
create function app.count_backfill_run(r public.runs, p_outcome text) returns jsonb
language plpgsql
as $$
declare
  b public.backfills;
begin
  select * into b from public.backfills where tenant_id = r.tenant_id and id = r.backfill_id for no key update;
  if not found then
    return '[]';
  end if;
  b.running := b.running - 1;
  b.succeeded := b.succeeded + case when p_outcome in ('succeeded', 'succeeded_with_warnings') then 1 else 0 end;
  b.failed := b.failed + case when p_outcome = 'failed' then 1 else 0 end;
  b.cancelled := b.cancelled + case when p_outcome = 'cancelled' then 1 else 0 end;
  return app.advance_backfill(b);
end
$$;
--> statement-breakpoint
-- Starts a run because of another one; where it cannot be, the other one's last event says so.
create function app.start_after(r public.runs, p_pipeline text, p_how text) returns jsonb
language plpgsql
as $$
declare
  deep integer;
  run text := app.new_id('run');
  started jsonb;
  refused text;
  last integer;
begin
  -- Data that is updated again and again while the pipeline is paused makes one run when it goes on.
  if p_how = 'dataset' and exists (
    select from public.pipelines p
    join public.runs q on q.tenant_id = p.tenant_id and q.pipeline_id = p.id and q.state = 'queued' and q.trigger = 'dataset'
    where p.tenant_id = r.tenant_id and p.id = p_pipeline and p.paused_at is not null)
  then
    return '[]';
  end if;
  -- A run that another one waits for carries on that one's chain.
  with recursive chain as (
    select r.depth::integer as depth, r.parent_run_id as parent
    union all
    select q.depth, q.parent_run_id from chain
    join public.runs q on q.tenant_id = r.tenant_id and q.id = chain.parent)
  select sum(chain.depth) + 1 into deep from chain;
  if deep > 20 then
    refused := 'depth';
  else
    started := app.start_run(run, p_pipeline, p_how, jsonb_strip_nulls(jsonb_build_object('traceparent', r.traceparent,
      'scheduledFor', case when p_how = 'upstream' then r.scheduled_for end)));
    refused := started->>'refused';
  end if;
  if refused is not null then
    update public.runs set events = events + 1 where tenant_id = r.tenant_id and id = r.id returning events into last;
    perform app.tell(r.tenant_id, r.id, last - 1, array['trigger.refused'], null, null,
      array[jsonb_build_object('pipelineId', p_pipeline, 'trigger', p_how, 'reason', refused)]);
  elsif started is not null then
    update public.runs set depth = deep where tenant_id = r.tenant_id and id = run;
    return jsonb_build_array(jsonb_build_object('id', started->'outboxId', 'runId', run));
  end if;
  return '[]';
end
$$;
--> statement-breakpoint
-- Pulls the triggers that listen to this run's pipeline, or to the datasets of which a run that succeeded made versions. A
-- rerun tells of what it has taken over too, where the run before it did not get to tell.
create function app.pull_triggers(r public.runs, p_outcome text) returns jsonb
language plpgsql
as $$
declare
  ends text[] := array['finished', case p_outcome when 'succeeded_with_warnings' then 'succeeded' else p_outcome end];
  datasets text[] := '{}';
  t record;
  wakes jsonb := '[]';
begin
  if 'succeeded' = any(ends) then
    datasets := array(
      select distinct d.name from public.dataset_versions v
      join public.datasets d on d.tenant_id = v.tenant_id and d.id = v.dataset_id
      where v.tenant_id = r.tenant_id and v.run_id = r.id and v.state = 'ready'
      union
      select d.name from public.runs before
      join public.steps s on s.tenant_id = r.tenant_id and s.run_id = r.id and s.map_index = 0
      join public.dataset_versions v on v.tenant_id = r.tenant_id and v.run_id = s.copied_from and v.step_key = s.key and v.state = 'ready'
      join public.datasets d on d.tenant_id = v.tenant_id and d.id = v.dataset_id
      where before.tenant_id = r.tenant_id and before.id = r.rerun_of
        and before.state not in ('succeeded', 'succeeded_with_warnings'));
  end if;
  for t in
    select g.id, g.pipeline_id, g.kind, g.definition from public.triggers g
    where g.tenant_id = r.tenant_id and g.id in (
        select s.trigger_id from public.trigger_sources s
        where s.tenant_id = r.tenant_id and s.kind = 'dataset' and s.name = any(datasets)
        union all
        select s.trigger_id from public.trigger_sources s
        join public.pipelines p on p.tenant_id = r.tenant_id and p.id = r.pipeline_id and p.name = s.name
        where s.tenant_id = r.tenant_id and s.kind = 'pipeline')
      and (g.kind = 'dataset' or g.definition->'on' ?| ends)
    order by g.id
  loop
    if t.kind = 'dataset' and t.definition->>'when' = 'all' then
      perform from public.triggers where tenant_id = r.tenant_id and id = t.id for no key update;
      update public.trigger_sources s set updated = true
      where s.tenant_id = r.tenant_id and s.trigger_id = t.id and s.name = any(datasets) and not s.updated;
      continue when exists (
        select from public.trigger_sources s
        where s.tenant_id = r.tenant_id and s.trigger_id = t.id and not s.updated);
      update public.trigger_sources s set updated = false where s.tenant_id = r.tenant_id and s.trigger_id = t.id;
    end if;
    wakes := wakes || app.start_after(r, t.pipeline_id, case t.kind when 'pipeline' then 'upstream' else t.kind end);
  end loop;
  return wakes;
end
$$;
--> statement-breakpoint
-- Called by app.finish_run, in its transaction, as weir_engine: what follows from a run that is over. Returns the messages
-- to publish.
create function app.after_run(r public.runs, p_outcome text) returns jsonb
language plpgsql
as $$
declare
  wakes jsonb := '[]';
begin
  if r.trigger = 'schedule' then
    wakes := app.start_waiting(r);
  elsif r.trigger = 'backfill' then
    wakes := app.count_backfill_run(r, p_outcome);
  end if;
  if exists (select from public.trigger_sources s where s.tenant_id = r.tenant_id) then
    wakes := wakes || app.pull_triggers(r, p_outcome);
  end if;
  return wakes || app.note_outcome(r, p_outcome);
end
$$;
--> statement-breakpoint
-- Makes a backfill and starts its first runs. Null when there is no such pipeline.
create function app.start_backfill(p_id text, p_pipeline text, p_version integer, p_asked jsonb, p_parameters jsonb,
  p_times timestamptz[], p_concurrency integer, p_skip boolean) returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.enter();
  b public.backfills;
begin
  perform app.guard('pipeline', p_pipeline);
  insert into public.backfills (tenant_id, id, pipeline_id, version, asked, parameters, times, concurrency, skip_succeeded, created_by)
  select tenant, p_id, p.id, p_version, p_asked, p_parameters, p_times, p_concurrency, p_skip, app.actor()
  from public.pipelines p where p.tenant_id = tenant and p.id = p_pipeline and p.deleted_at is null
  returning * into b;
  return case when found then app.advance_backfill(b) end;
end
$$;
--> statement-breakpoint
-- Moves a backfill from one of p_from to p_to; a running one starts what it has room for. Null when it is not in p_from.
create function app.move_backfill(p_id text, p_from text[], p_to text) returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.enter();
  b public.backfills;
begin
  perform app.guard('backfill', p_id);
  select * into b from public.backfills where tenant_id = tenant and id = p_id and state = any(p_from) for no key update;
  if not found then
    return null;
  end if;
  b.state := p_to;
  return app.advance_backfill(b);
end
$$;
--> statement-breakpoint
-- Stops the runs of a backfill that are under way. All of them are locked before the first one ends, for a run that ends
-- locks the backfill.
create function app.stop_backfill_runs(p_id text) returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.enter();
  runs text[];
  run text;
  wakes jsonb := '[]';
begin
  perform app.guard('backfill', p_id);
  runs := array(
    select q.id from public.runs q
    where q.tenant_id = tenant and q.backfill_id = p_id and q.finished_at is null
    order by q.id for no key update);
  foreach run in array runs loop
    wakes := wakes || coalesce(app.stop_run(tenant, run)->'wakes', '[]');
  end loop;
  return wakes;
end
$$;
--> statement-breakpoint
-- Whose webhook this is, and what its event has to fit: nobody has signed in yet.
create function app.webhook(p_trigger text)
returns table (tenant_id text, pipeline_id text, version integer, parameters jsonb, secrets jsonb)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select t.tenant_id, t.pipeline_id, v.version, v.definition->'parameters', t.secrets
  from public.triggers t
  join public.pipelines p on p.tenant_id = t.tenant_id and p.id = t.pipeline_id and p.deleted_at is null
  join public.pipeline_versions v on v.tenant_id = p.tenant_id and v.pipeline_id = p.id and v.version = p.current_version
  where t.id = p_trigger and t.kind = 'webhook'
$$;
--> statement-breakpoint
-- Takes an event whose signature is good, once: a repetition gets the run that the first one started. Returns {"runId",
-- "wakes"}; {"runId", "repeated": true} or {"conflict": true} for an id that was used, with the same body or another;
-- {"refused": true} when the pipeline is not the one that the parameters were checked for.
create function app.receive_event(p_trigger text, p_webhook text, p_body_hash text, p_options jsonb) returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.enter();
  run text := app.new_id('run');
  first public.webhook_receipts;
  started jsonb;
begin
  perform app.guard_wide('R', 'runs:write');
  insert into public.webhook_receipts (tenant_id, trigger_id, webhook_id, body_hash, run_id)
  select tenant, t.id, p_webhook, p_body_hash, run from public.triggers t where t.tenant_id = tenant and t.id = p_trigger
  on conflict do nothing;
  if not found then
    select * into first from public.webhook_receipts w
    where w.tenant_id = tenant and w.trigger_id = p_trigger and w.webhook_id = p_webhook;
    return case when first.run_id is null then '{"refused": true}'
      when first.body_hash = p_body_hash then jsonb_build_object('runId', first.run_id, 'repeated', true)
      else '{"conflict": true}' end;
  end if;
  select app.start_run(run, t.pipeline_id, 'event', p_options) into started
  from public.triggers t where t.tenant_id = tenant and t.id = p_trigger;
  if started is null or started ? 'refused' then
    delete from public.webhook_receipts w
    where w.tenant_id = tenant and w.trigger_id = p_trigger and w.webhook_id = p_webhook;
    return jsonb_strip_nulls(jsonb_build_object('refused', true, 'quota', started->'quota'));
  end if;
  return jsonb_build_object('runId', run, 'wakes', jsonb_build_array(jsonb_build_object('id', started->'outboxId', 'runId', run)));
end
$$;
--> statement-breakpoint
-- Forgets events whose signatures are long too old to be shown again.
create function app.forget_receipts() returns void
language sql security definer
set search_path = pg_catalog, pg_temp
as $$ delete from public.webhook_receipts where received_at < now() - interval '1 day' $$;
--> statement-breakpoint
do $$
declare
  f regprocedure;
begin
  foreach f in array array[
    'app.fire_schedules(jsonb)', 'app.start_backfill(text,text,integer,jsonb,jsonb,timestamptz[],integer,boolean)',
    'app.move_backfill(text,text[],text)', 'app.stop_backfill_runs(text)', 'app.receive_event(text,text,text,jsonb)']::regprocedure[]
  loop
    execute format('alter function %s owner to weir_engine', f);
    execute format('revoke all on function %s from public', f);
    execute format('grant execute on function %s to weir_app', f);
  end loop;
  foreach f in array array[
    'app.due_schedules(interval,integer)', 'app.late_schedules(interval)', 'app.webhook(text)', 'app.forget_receipts()']::regprocedure[]
  loop
    execute format('alter function %s owner to weir_system', f);
    execute format('revoke all on function %s from public', f);
    execute format('grant execute on function %s to weir_app', f);
  end loop;
end
$$;
--> statement-breakpoint
revoke create on schema app from weir_system, weir_engine;
