-- What is told of a run: its log, the alerts about it, and when all of it is forgotten.

grant create on schema app to weir_system, weir_engine;
--> statement-breakpoint
alter table public.tenants
  add column max_run_ms bigint check (max_run_ms > 0),
  add column retention_days integer default 90 check (retention_days > 0),
  add column forgotten_at timestamptz;
--> statement-breakpoint
-- How many lines its log has: the number of the last one.
alter table public.runs add column logs integer not null default 0, add column sla_at timestamptz;
--> statement-breakpoint
-- Of a step and its items together.
alter table public.steps add column log_lines integer, add column log_bytes integer;
--> statement-breakpoint
-- Until when somebody tells a channel what stands there.
alter table public.outbox add column taken_until timestamptz;
--> statement-breakpoint
grant update (max_run_ms, retention_days) on public.tenants to weir_app;
--> statement-breakpoint
create index tenants_forgotten on public.tenants (forgotten_at nulls first);
--> statement-breakpoint
create index runs_sla on public.runs (sla_at) where finished_at is null and sla_at is not null;
--> statement-breakpoint
create index runs_finished on public.runs (tenant_id, finished_at) where finished_at is not null;
--> statement-breakpoint
create index runs_reruns on public.runs (tenant_id, rerun_of) where rerun_of is not null and finished_at is null;
--> statement-breakpoint
create table public.run_logs (
  tenant_id text not null,
  run_id text not null,
  seq integer not null,
  at timestamptz not null,
  step_key text not null,
  map_index integer,
  level text not null,
  message text not null,
  constraint run_logs_tenant_id_run_id_seq_pk primary key (tenant_id, run_id, seq),
  constraint run_logs_run foreign key (tenant_id, run_id) references public.runs (tenant_id, id) on delete cascade,
  constraint run_logs_level check (level in ('debug', 'info', 'warn', 'error')),
  constraint run_logs_message check (octet_length(message) <= 8192)
);
--> statement-breakpoint
call app.wall('public.run_logs');
--> statement-breakpoint
grant select on public.run_logs to weir_app;
--> statement-breakpoint
create table public.alerts (
  tenant_id text not null,
  id text not null,
  kind text not null,
  -- Of an escalation: the first, second or third.
  level integer not null default 0,
  pipeline_id text not null,
  run_id text,
  schedule_id text,
  -- When the schedule was to fire.
  due_at timestamptz,
  -- The failure that a recovery is the end of.
  recovers text,
  state text not null default 'open',
  detail jsonb not null default '{}',
  at timestamptz not null default clock_timestamp(),
  resolved_at timestamptz,
  resolved_by text,
  constraint alerts_tenant_id_id_pk primary key (tenant_id, id),
  constraint alerts_pipeline foreign key (tenant_id, pipeline_id) references public.pipelines (tenant_id, id),
  constraint alerts_run foreign key (tenant_id, run_id) references public.runs (tenant_id, id) on delete cascade,
  constraint alerts_kind check (kind in ('warned', 'late', 'escalated', 'failed', 'recovered', 'not_fired')),
  constraint alerts_state check (state in ('open', 'resolved'))
);
--> statement-breakpoint
-- Each of these makes it impossible to say the same thing twice.
create unique index alerts_of_run on public.alerts (tenant_id, run_id, kind, level) where run_id is not null;
--> statement-breakpoint
create unique index alerts_of_schedule on public.alerts (tenant_id, schedule_id, due_at) where schedule_id is not null;
--> statement-breakpoint
create unique index alerts_of_recovery on public.alerts (tenant_id, recovers) where recovers is not null;
--> statement-breakpoint
create index alerts_pipeline_health on public.alerts (tenant_id, pipeline_id, at) where kind in ('failed', 'recovered');
--> statement-breakpoint
create index alerts_open on public.alerts (tenant_id, id) where state = 'open';
--> statement-breakpoint
create index alerts_not_fired on public.alerts (tenant_id, schedule_id) where kind = 'not_fired' and state = 'open';
--> statement-breakpoint
call app.wall('public.alerts');
--> statement-breakpoint
grant select on public.alerts to weir_app;
--> statement-breakpoint
grant update (state, resolved_at, resolved_by) on public.alerts to weir_app;
--> statement-breakpoint
-- Writes lines of a step's log: [{"at","level","message"}], in the transaction that commits what they tell of; the fence is
-- that one's to check. Its numbers are given out under the run's lock, so a line never comes to light after one with a
-- higher number. A step and its items together keep 1,000 lines and 256 KB; then one line says that there was more.
create function app.write_log(p_run text, p_key text, p_map integer, p_lines jsonb) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.enter();
  last integer;
  had record;
  kept integer;
  kept_bytes integer;
  step text := split_part(p_key, '.', 1);
begin
  perform app.guard('run', p_run);
  select logs into last from public.runs where tenant_id = tenant and id = p_run for no key update;
  select coalesce(log_lines, 0) as lines, coalesce(log_bytes, 0) as bytes into had
  from public.steps where tenant_id = tenant and run_id = p_run and key = step and map_index = 0;
  if last is null or had.lines is null or had.lines > 1000 then
    return;
  end if;
  with given as (
    select l.at, l.level, l.message, n,
      had.bytes + sum(octet_length(l.message)) over (order by n) as bytes
    from rows from (jsonb_to_recordset(p_lines) as (at timestamptz, level text, message text)) with ordinality as l(at, level, message, n)
  ), written as (
    insert into public.run_logs (tenant_id, run_id, seq, at, step_key, map_index, level, message)
    select tenant, p_run, last + n, at, p_key, nullif(p_map, 0), level, message
    from given where had.lines + n <= 1000 and bytes <= 262144
    returning octet_length(message) as bytes)
  select count(*), coalesce(sum(bytes), 0) into kept, kept_bytes from written;
  if kept < jsonb_array_length(p_lines) then
    insert into public.run_logs (tenant_id, run_id, seq, at, step_key, map_index, level, message)
    values (tenant, p_run, last + kept + 1, clock_timestamp(), p_key, nullif(p_map, 0), 'warn',
      'More was said than a step keeps (1,000 lines, 256 KB); the rest was cut.');
    last := last + 1;
    had.lines := 1001;
  end if;
  update public.runs set logs = last + kept where tenant_id = tenant and id = p_run;
  update public.steps set log_lines = had.lines + kept, log_bytes = had.bytes + kept_bytes
  where tenant_id = tenant and run_id = p_run and key = step and map_index = 0;
end
$$;
--> statement-breakpoint
alter function app.write_log(text, text, integer, jsonb) owner to weir_engine;
--> statement-breakpoint
revoke all on function app.write_log(text, text, integer, jsonb) from public;
--> statement-breakpoint
grant execute on function app.write_log(text, text, integer, jsonb) to weir_app;
--> statement-breakpoint
-- Hands a notice to every channel that the version's definition names for one of p_on: once each, whatever it lists. Returns
-- the messages to publish now; the tick publishes what is still there after p_later.
create function app.notify(p_tenant text, p_version text, p_on text[], p_alert text, p_words text, p_body jsonb, p_later interval) returns jsonb
language sql
as $$
  with handed as (
    insert into public.outbox (tenant_id, kind, payload, send_after)
    select distinct on (n->>'to') p_tenant, 'notify', jsonb_strip_nulls(jsonb_build_object(
        'channel', n->>'to', 'alertId', p_alert, 'subject', p.name || ': ' || p_words,
        'body', p_body || jsonb_build_object('alertId', p_alert, 'pipelineId', p.id, 'pipeline', p.name))), now() + p_later
    from public.pipeline_versions v
    join public.pipelines p on p.tenant_id = v.tenant_id and p.id = v.pipeline_id
    cross join lateral jsonb_array_elements(v.definition->'notify') n
    where v.tenant_id = p_tenant and v.id = p_version and n->'on' ?| p_on
    returning id)
  select coalesce(jsonb_agg(jsonb_build_object('id', id, 'job', 'notify') order by id), '[]') from handed
$$;
--> statement-breakpoint
-- Raises an alert and hands out its notices as app.notify does, unless that has been done already.
create function app.raise_alert(p_alert public.alerts, p_version text, p_on text, p_words text, p_later interval) returns jsonb
language plpgsql
as $$
declare
  made text := app.new_id('alr');
begin
  insert into public.alerts (tenant_id, id, kind, level, pipeline_id, run_id, schedule_id, due_at, recovers, state, detail, resolved_at)
  values (p_alert.tenant_id, made, p_alert.kind, coalesce(p_alert.level, 0), p_alert.pipeline_id, p_alert.run_id,
    p_alert.schedule_id, p_alert.due_at, p_alert.recovers, coalesce(p_alert.state, 'open'), coalesce(p_alert.detail, '{}'),
    case when p_alert.state = 'resolved' then clock_timestamp() end)
  on conflict do nothing;
  if not found then
    return '[]';
  end if;
  return app.notify(p_alert.tenant_id, p_version, array[p_on], made, p_words, jsonb_strip_nulls(jsonb_build_object(
    'kind', p_alert.kind, 'level', nullif(p_alert.level, 0), 'runId', p_alert.run_id, 'scheduleId', p_alert.schedule_id,
    'dueAt', p_alert.due_at, 'detail', p_alert.detail)), p_later);
end
$$;
--> statement-breakpoint
-- From when a run's time is measured: what it stands for, but for runs that catch up with the past by intention.
create function app.sla_since(p_trigger text, p_scheduled_for timestamptz, p_created_at timestamptz) returns timestamptz
language sql immutable
as $$ select case when p_trigger in ('backfill', 'rerun') then p_created_at else coalesce(p_scheduled_for, p_created_at) end $$;
--> statement-breakpoint
-- When a new run of a version is first looked at: at 80 % of what its definition gives it; null when it gives nothing.
create function app.first_look(p_within_ms bigint, p_trigger text, p_scheduled_for timestamptz) returns timestamptz
language sql stable
as $$ select app.sla_since(p_trigger, p_scheduled_for, now()) + p_within_ms * 0.8 * interval '1 ms' $$;
--> statement-breakpoint
-- Says how late a locked run is: warned at 80 % of its time, late at 100 %, and again at 200, 300 and 400 %. Tells when to
-- look again, and what to publish as app.notify does.
create function app.note_lateness(r public.runs, p_later interval, out look_at timestamptz, out wakes jsonb)
language plpgsql
as $$
declare
  allowed interval;
  since timestamptz := app.sla_since(r.trigger, r.scheduled_for, r.created_at);
  threshold record;
  alert public.alerts;
begin
  wakes := '[]';
  select (v.definition->'sla'->>'withinMs')::bigint * interval '1 ms' into allowed
  from public.pipeline_versions v where v.tenant_id = r.tenant_id and v.id = r.version_id;
  for threshold in
    select l.*, since + allowed * l.share as at
    from (values
      ('warned', 0, 0.8, 'warning', 'a run has used 80 % of its time'),
      ('late', 0, 1.0, 'late', 'a run is late'),
      ('escalated', 1, 2.0, 'late', 'a run has taken twice its time'),
      ('escalated', 2, 3.0, 'late', 'a run has taken three times its time'),
      ('escalated', 3, 4.0, 'late', 'a run has taken four times its time')) as l(kind, level, share, name, words)
    order by l.share
  loop
    if threshold.at > clock_timestamp() then
      look_at := threshold.at;
      return;
    end if;
    alert := null;
    alert.tenant_id := r.tenant_id;
    alert.kind := threshold.kind;
    alert.level := threshold.level;
    alert.pipeline_id := r.pipeline_id;
    alert.run_id := r.id;
    alert.detail := jsonb_build_object('since', since, 'withinMs', extract(epoch from allowed)::bigint * 1000);
    wakes := wakes || app.raise_alert(alert, r.version_id, threshold.name, threshold.words, p_later);
  end loop;
end
$$;
--> statement-breakpoint
-- What a run's end says: whether it came late, whether it failed, and whether its pipeline works again. Called by
-- app.after_run, in the transaction that ends the run. Returns the messages to publish then.
create function app.note_outcome(r public.runs, p_outcome text) returns jsonb
language plpgsql
as $$
declare
  alert public.alerts;
  before record;
  later constant interval := '60 s';
  wakes jsonb := '[]';
begin
  if r.sla_at is not null then
    if r.sla_at <= clock_timestamp() then
      wakes := (app.note_lateness(r, later)).wakes;
    end if;
    update public.alerts set state = 'resolved', resolved_at = clock_timestamp()
    where tenant_id = r.tenant_id and run_id = r.id and kind in ('warned', 'late', 'escalated') and state = 'open';
  end if;
  alert.tenant_id := r.tenant_id;
  alert.pipeline_id := r.pipeline_id;
  alert.run_id := r.id;
  if p_outcome = 'failed' then
    alert.kind := 'failed';
    alert.detail := coalesce((
      select jsonb_build_object('step', s.key) || coalesce(s.error, '{}') from public.steps s
      where s.tenant_id = r.tenant_id and s.run_id = r.id and s.map_index = 0 and s.state = 'failed'
      order by s.finished_at limit 1), '{}');
    wakes := wakes || app.raise_alert(alert, r.version_id, 'failed', 'a run failed', later);
  elsif p_outcome in ('succeeded', 'succeeded_with_warnings') then
    select v.definition->'notify' <> '[]' as has_notices, a.id, a.kind, a.run_id into before
    from public.pipeline_versions v
    left join lateral (
      select o.id, o.kind, o.run_id from public.alerts o
      where o.tenant_id = r.tenant_id and o.pipeline_id = r.pipeline_id and o.kind in ('failed', 'recovered')
      order by o.at desc limit 1) a on true
    where v.tenant_id = r.tenant_id and v.id = r.version_id;
    if before.has_notices then
      wakes := wakes || app.notify(r.tenant_id, r.version_id,
        case p_outcome when 'succeeded' then array['succeeded'] else array['succeeded', 'warning'] end, null,
        case p_outcome when 'succeeded' then 'a run succeeded' else 'a run succeeded with warnings' end,
        jsonb_build_object('kind', p_outcome, 'runId', r.id), later);
    end if;
    if before.kind = 'failed' then
      alert.kind := 'recovered';
      alert.state := 'resolved';
      alert.recovers := before.id;
      alert.detail := jsonb_build_object('failedRunId', before.run_id);
      wakes := wakes || app.raise_alert(alert, r.version_id, 'recovered', 'its runs succeed again', later);
      update public.alerts set state = 'resolved', resolved_at = clock_timestamp()
      where tenant_id = r.tenant_id and pipeline_id = r.pipeline_id and kind = 'failed' and state = 'open';
    end if;
  end if;
  return wakes;
end
$$;
--> statement-breakpoint
-- The tick's look for what is late, across tenants: open runs whose time for it has come, and schedules that should have
-- fired p_grace ago. Their notices are there for the same tick to publish. At most p_limit of each a call; what somebody else is moving now is looked at by the next one.
create function app.look_for_lateness(p_limit integer, p_grace interval) returns integer
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  r public.runs;
  s record;
  alert public.alerts;
  raised integer := 0;
begin
  for r in
    select * from public.runs where finished_at is null and sla_at <= clock_timestamp()
    order by sla_at limit p_limit for no key update skip locked
  loop
    update public.runs set sla_at = coalesce((app.note_lateness(r, '0 s')).look_at, 'infinity') where tenant_id = r.tenant_id and id = r.id;
    raised := raised + 1;
  end loop;
  for s in
    select l.tenant_id, l.schedule_id, l.pipeline_id, l.due_at, v.id as version_id
    from app.late_schedules(p_grace) l
    join public.pipelines p on p.tenant_id = l.tenant_id and p.id = l.pipeline_id
    join public.pipeline_versions v on v.tenant_id = p.tenant_id and v.pipeline_id = p.id and v.version = p.current_version
    where not exists (
      select from public.alerts a where a.tenant_id = l.tenant_id and a.schedule_id = l.schedule_id and a.due_at = l.due_at)
    order by l.due_at limit p_limit
  loop
    alert := null;
    alert.tenant_id := s.tenant_id;
    alert.kind := 'not_fired';
    alert.pipeline_id := s.pipeline_id;
    alert.schedule_id := s.schedule_id;
    alert.due_at := s.due_at;
    perform app.raise_alert(alert, s.version_id, 'late', 'its schedule did not fire', '0 s');
    raised := raised + 1;
  end loop;
  update public.alerts a set state = 'resolved', resolved_at = clock_timestamp()
  where (a.tenant_id, a.id) in (
    select o.tenant_id, o.id from public.alerts o
    left join public.schedules d on d.tenant_id = o.tenant_id and d.id = o.schedule_id
    where o.kind = 'not_fired' and o.state = 'open' and d.next_fire_at is distinct from o.due_at
    limit p_limit);
  return raised;
end
$$;
--> statement-breakpoint
-- Tenants that may have runs to forget, those first that were longest not looked at; the caller forgets each one's by itself.
create function app.next_to_forget(p_limit integer) returns setof text
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
  update public.tenants set forgotten_at = clock_timestamp()
  where tenant_id in (
    select t.tenant_id from public.tenants t
    where t.retention_days is not null and (t.forgotten_at is null or t.forgotten_at < clock_timestamp() - interval '50 s')
    order by t.forgotten_at nulls first limit p_limit for update skip locked)
  returning tenant_id
$$;
--> statement-breakpoint
-- Forgets the tenant's oldest runs whose retention is over, with all that is told of them; at most p_limit of them, and no
-- more than have some 100,000 events and lines together. A run is kept while a dataset's version that it made still is,
-- while a rerun of it is under way and while a run that it started is. Returns how many have gone.
create function app.forget_runs(p_tenant text, p_limit integer) returns integer
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  horizon timestamptz;
  gone integer;
begin
  select clock_timestamp() - t.retention_days * interval '1 day' into horizon from public.tenants t where t.tenant_id = p_tenant;
  if horizon is null then
    return 0;
  end if;
  with old as (
    select r.id, sum(r.events + r.logs) over (order by r.finished_at, r.id) - r.events - r.logs as weight
    from (
      select o.id, o.finished_at, o.events, o.logs from public.runs o
      where o.tenant_id = p_tenant and o.finished_at < horizon
        and not exists (
          select from public.dataset_versions v
          where v.tenant_id = p_tenant and v.run_id = o.id and v.state <> 'dropped')
        and not exists (
          select from public.runs u where u.tenant_id = p_tenant and u.rerun_of = o.id and u.finished_at is null)
        and not exists (
          select from public.runs c where c.tenant_id = p_tenant and c.parent_run_id = o.id and c.finished_at is null)
      order by o.finished_at limit p_limit) r
  ), versions as (
    delete from public.dataset_versions v using old
    where v.tenant_id = p_tenant and v.run_id = old.id and old.weight < 100000
  ), runs as (
    delete from public.runs r using old where r.tenant_id = p_tenant and r.id = old.id and old.weight < 100000
    returning 1)
  select count(*) into gone from runs;
  delete from public.alerts
  where (tenant_id, id) in (
    select a.tenant_id, a.id from public.alerts a
    where a.tenant_id = p_tenant and a.at < horizon and (a.kind = 'not_fired'
      -- This month's are what keeps them from being told again.
      or a.kind in ('refused', 'quota') and a.state = 'resolved' and a.at < date_trunc('month', now() at time zone 'utc') at time zone 'utc')
    limit p_limit);
  return gone;
end
$$;
--> statement-breakpoint
do $$
declare
  f regprocedure;
begin
  foreach f in array array[
    'app.look_for_lateness(integer,interval)', 'app.next_to_forget(integer)', 'app.forget_runs(text,integer)']::regprocedure[]
  loop
    execute format('alter function %s owner to weir_system', f);
    execute format('revoke all on function %s from public', f);
    execute format('grant execute on function %s to weir_app', f);
  end loop;
end
$$;
--> statement-breakpoint
revoke create on schema app from weir_system, weir_engine;
