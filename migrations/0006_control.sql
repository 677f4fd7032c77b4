-- What people do to runs, pipelines and connections: each function is one conditional move under the tenant's claim, with
-- the actor and the reason among the run's events. They stand on the moves of 0004 and run as weir_engine like those.

grant create on schema app to weir_engine;
--> statement-breakpoint
grant select on public.dead_letters to weir_app;
--> statement-breakpoint
-- Whether a step's failure says that the other side of its connection cannot serve anybody at the moment. The same codes
-- as in src/domain/failure-class.ts; a test compares the two.
create function app.is_outage(p_code text) returns boolean
language sql immutable parallel safe
as $$
  select p_code in ('connection_lost', 'connection_refused', 'connect_timeout', 'http_unavailable', 'server_busy',
    'server_full', 'server_unavailable', 'storage_unavailable', 'too_many_connections', 'unreachable')
$$;
--> statement-breakpoint
-- Counts what its steps say of a connection: after five outages in a row it rests for 30 s, then for twice as long each
-- time, at most 15 minutes. What was under way when it began to rest says nothing new.
create function app.heed_connection() returns trigger
language plpgsql
as $$
begin
  if new.state = 'succeeded' then
    update public.connections set failures = 0, rests_until = null
    where tenant_id = new.tenant_id and name = new.connection and failures > 0;
  elsif app.is_outage(new.error->>'code') then
    update public.connections
    set failures = failures + 1,
      rests_until = case when failures >= 4 then
        clock_timestamp() + least(power(2, least(failures - 4, 10)) * interval '30 s', interval '15 min') end
    where tenant_id = new.tenant_id and name = new.connection and coalesce(rests_until <= clock_timestamp(), true);
  end if;
  return null;
end
$$;
--> statement-breakpoint
-- A continuation keeps its attempt, and with it the error of the one before.
create trigger steps_connection after update of state on public.steps for each row
when (old.state = 'running' and new.connection is not null
  and (new.state in ('succeeded', 'failed') or new.state = 'ready' and new.attempt_at is null))
execute function app.heed_connection();
--> statement-breakpoint
create function app.bury_step() returns trigger
language plpgsql
as $$
begin
  insert into public.dead_letters (tenant_id, id, run_id, pipeline_id, step_key, code, message, attempts)
  select new.tenant_id, app.new_id('dl'), new.run_id, r.pipeline_id, new.key,
    coalesce(new.error->>'code', 'unexpected'), coalesce(new.error->>'message', ''), new.attempt
  from public.runs r where r.tenant_id = new.tenant_id and r.id = new.run_id;
  return null;
end
$$;
--> statement-breakpoint
-- A step that somebody marked as failed is nothing to be found out about.
create trigger steps_dead after update of state on public.steps for each row
when (old.state = 'running' and new.state = 'failed' and new.map_index = 0 and new.error->>'code' is distinct from 'marked')
execute function app.bury_step();
--> statement-breakpoint
-- Wakes the queued runs of a pipeline (of the whole tenant when p_pipeline is null) that may find a place: the others are
-- woken by those that start and those that end. Only the first of them are returned to be published at once; the tick
-- hands out the rest.
create function app.wake_queued(p_tenant text, p_pipeline text) returns jsonb
language sql
as $$
  with woken as (
    select w.id, row_number() over (order by w.priority desc, w.id) as n
    from (
      select q.id, q.priority, v.concurrency,
        row_number() over (partition by q.pipeline_id order by q.priority desc, q.id) as rank
      from public.runs q
      join public.pipelines p on p.tenant_id = q.tenant_id and p.id = q.pipeline_id and p.paused_at is null
      join public.pipeline_versions v on v.tenant_id = q.tenant_id and v.id = q.version_id
      where q.tenant_id = p_tenant and q.state = 'queued' and (p_pipeline is null or q.pipeline_id = p_pipeline)) w
    join public.tenants t on t.tenant_id = p_tenant
    where w.rank <= coalesce(least(w.concurrency, t.concurrency), 10000)
    order by w.priority desc, w.id limit 10000
  ), sent as (select n, app.wake(p_tenant, id, null) as wake from woken order by n)
  select coalesce(jsonb_agg(wake order by n) filter (where n <= 100), '[]') from sent
$$;
--> statement-breakpoint
-- Wakes the runs under way that were passed over for the want of a place with the connection, as many as may find one.
create function app.wake_waiting(p_tenant text, p_connection text, p_concurrency integer) returns jsonb
language sql
as $$
  with woken as (
    select q.id, row_number() over (order by q.priority desc, q.id) as n
    from public.runs q
    where q.tenant_id = p_tenant and q.state in ('running', 'waiting') and exists (
      select from public.steps o
      where o.tenant_id = p_tenant and o.run_id = q.id and o.connection = p_connection and o.state = 'ready'
        and coalesce(o.next_attempt_at <= clock_timestamp(), true))
    order by q.priority desc, q.id limit coalesce(least(p_concurrency, 10000), 10000)
  ), sent as (select n, app.wake(p_tenant, id, null) as wake from woken order by n)
  select coalesce(jsonb_agg(wake order by n) filter (where n <= 100), '[]') from sent
$$;
--> statement-breakpoint
-- Nothing of a paused pipeline starts any more. Null when there is no such pipeline; paused again it stays as it was.
create function app.pause_pipeline(p_pipeline text, p_reason text) returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.enter();
  p public.pipelines;
begin
  perform app.guard('pipeline', p_pipeline);
  update public.pipelines
  set paused_at = coalesce(paused_at, now()),
    paused_by = case when paused_at is null then app.actor() else paused_by end,
    paused_reason = case when paused_at is null then p_reason else paused_reason end
  where tenant_id = tenant and id = p_pipeline and deleted_at is null
  returning * into p;
  return case when found then jsonb_build_object('pausedAt', p.paused_at, 'pausedBy', p.paused_by, 'reason', p.paused_reason) end;
end
$$;
--> statement-breakpoint
-- Lets a paused pipeline go on: {"wakes"} of what was queued meanwhile. Null when there is no such pipeline.
create function app.resume_pipeline(p_pipeline text) returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.enter();
  was timestamptz;
begin
  perform app.guard('pipeline', p_pipeline);
  select paused_at into was from public.pipelines
  where tenant_id = tenant and id = p_pipeline and deleted_at is null for no key update;
  if not found then
    return null;
  elsif was is null then
    return '{"wakes": []}';
  end if;
  update public.pipelines set paused_at = null, paused_by = null, paused_reason = null
  where tenant_id = tenant and id = p_pipeline;
  return jsonb_build_object('wakes', app.wake_queued(tenant, p_pipeline));
end
$$;
--> statement-breakpoint
-- How many runs of the tenant may be at work at once; null is no limit.
create function app.limit_tenant(p_concurrency integer) returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.enter();
begin
  perform app.guard_wide('L', 'limits:write');
  update public.tenants set concurrency = p_concurrency where tenant_id = tenant;
  return jsonb_build_object('wakes', app.wake_queued(tenant, null));
end
$$;
--> statement-breakpoint
-- After somebody changed how often a connection may be used at once, or put it right (p_reset): it no longer rests, its
-- failures are forgotten, and what waited for it goes on. Null when there is no such connection.
create function app.open_connection(p_connection text, p_reset boolean) returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.enter();
  c public.connections;
begin
  perform app.guard('connection', p_connection);
  select * into c from public.connections where tenant_id = tenant and id = p_connection for no key update;
  if not found then
    return null;
  end if;
  if p_reset then
    update public.connections set failures = 0, rests_until = null where tenant_id = tenant and id = p_connection;
    update public.steps set next_attempt_at = null
    where tenant_id = tenant and connection = c.name and state = 'ready' and next_attempt_at = c.rests_until;
  end if;
  return jsonb_build_object('wakes', app.wake_waiting(tenant, c.name, c.concurrency));
end
$$;
--> statement-breakpoint
-- Of two queued runs the one with the higher priority goes first. {"refused"}: 'begun' when it is not queued any more.
create function app.set_priority(p_run text, p_priority integer, p_reason text) returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.enter();
  r public.runs;
begin
  perform app.guard('run', p_run);
  select * into r from public.runs where tenant_id = tenant and id = p_run for no key update;
  if not found then
    return null;
  elsif r.state <> 'queued' then
    return jsonb_build_object('refused', 'begun', 'runState', r.state);
  end if;
  perform app.tell(tenant, p_run, r.events, array['run.priority'], null, null,
    array[jsonb_strip_nulls(jsonb_build_object('from', r.priority, 'to', p_priority, 'reason', p_reason))]);
  update public.runs set priority = p_priority, events = r.events + 1 where tenant_id = tenant and id = p_run;
  perform app.note_run(tenant, 'run.priority', p_run, jsonb_build_object('from', r.priority, 'to', p_priority, 'reason', p_reason));
  return jsonb_build_object('runState', r.state);
end
$$;
--> statement-breakpoint
-- A new run of what p_run did: p_from is 'failed' (what failed or was cancelled, and what follows), 'all', or a step (it
-- and what follows); what was cancelled is always done again. The other steps are taken over as they ended. p_options, all optional:
-- {"checkedFor" (the current version, with "parameters" checked for it; without it the version that p_run had),
-- "traceparent", "reason"}. With the current version a step whose definition has changed is done again too.
-- Returns {"runId","outboxId"}, null when there is no such run, or {"refused"}: 'open', 'deleted' (its pipeline),
-- 'version' (another one is current by now), 'step' (no such step), 'nothing' (has failed), 'skipped' (all would be),
-- 'dropped' with "step" whose rows are gone, 'quota' with "quota".
create function app.rerun_run(p_new text, p_run text, p_from text, p_options jsonb) returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.enter();
  old public.runs;
  version record;
  again text[];
  gone text;
  how text;
  skipped text[];
  open_steps integer;
  can_start boolean;
  counted jsonb;
begin
  perform app.guard('run', p_run);
  select * into old from public.runs where tenant_id = tenant and id = p_run;
  if not found then
    return null;
  elsif old.finished_at is null then
    return '{"refused": "open"}';
  end if;
  select v.id, v.version, v.plan, v.definition, (v.definition->'sla'->>'withinMs')::bigint as within_ms into version
  from public.pipelines p
  join public.pipeline_versions v on v.tenant_id = p.tenant_id and v.pipeline_id = p.id
    and case when p_options ? 'checkedFor' then v.version = p.current_version else v.id = old.version_id end
  where p.tenant_id = tenant and p.id = old.pipeline_id and p.deleted_at is null;
  if not found then
    return '{"refused": "deleted"}';
  elsif version.version <> (p_options->>'checkedFor')::integer then
    return '{"refused": "version"}';
  elsif p_from = 'failed' and old.state in ('succeeded', 'succeeded_with_warnings') then
    return '{"refused": "nothing"}';
  elsif p_from not in ('failed', 'all')
    and not exists (select from jsonb_to_recordset(version.plan) as s(key text) where s.key = p_from)
  then
    return '{"refused": "step"}';
  end if;

  with recursive plan as (
    select s.key, s.needs from jsonb_to_recordset(version.plan) as s(key text, needs text[])
  ), changed as (
    select n.value->>'id' as key
    from jsonb_array_elements(version.definition->'steps') n
    join public.pipeline_versions b on b.tenant_id = tenant and b.id = old.version_id and b.id <> version.id
    left join lateral (
      select o.value from jsonb_array_elements(b.definition->'steps') o where o.value->>'id' = n.value->>'id') o on true
    where o.value is distinct from n.value
  ), redone as (
    select p.key
    from plan p
    left join public.steps o on o.tenant_id = tenant and o.run_id = p_run and o.key = p.key and o.map_index = 0
    where p_from in ('all', p.key) or o.key is null or o.state = 'cancelled' or p_from = 'failed' and o.state = 'failed'
      or exists (select from changed c where c.key = p.key)
    union
    select p.key from plan p join redone r on r.key = any(p.needs))
  select array_agg(key) into again from redone;
  if again is null then
    return '{"refused": "nothing"}';
  end if;

  -- Held until the run is there, for then the clean-up sees that somebody needs them.
  perform from public.dataset_versions v
  join public.steps d on d.tenant_id = v.tenant_id and d.run_id = p_run and d.key = v.step_key and d.map_index = 0
    and v.run_id = coalesce(d.copied_from, d.run_id)
  where v.tenant_id = tenant and d.key <> all(again)
  for share of v;
  select d.key into gone
  from public.steps d
  join public.dataset_versions v on v.tenant_id = d.tenant_id and v.run_id = coalesce(d.copied_from, d.run_id)
    and v.step_key = d.key and v.state = 'dropped'
  where d.tenant_id = tenant and d.run_id = p_run and d.map_index = 0 and d.state = 'succeeded' and d.key <> all(again)
    and exists (
      select from jsonb_to_recordset(version.plan) as s(key text, needs text[])
      where s.key = any(again) and d.key = any(s.needs))
  order by d.position limit 1;
  if gone is not null then
    return jsonb_build_object('refused', 'dropped', 'step', gone);
  end if;

  insert into public.runs (tenant_id, id, pipeline_id, version_id, state, trigger, priority, scheduled_for, rerun_of,
    parameters, started_by, traceparent, unfinished, sla_at)
  values (tenant, p_new, old.pipeline_id, version.id, 'queued', 'rerun', old.priority, old.scheduled_for, p_run,
    coalesce(p_options->'parameters', old.parameters), app.actor(), p_options->>'traceparent', 0,
    app.first_look(version.within_ms, 'rerun', null));
  insert into public.steps (tenant_id, run_id, key, kind, position, connection, needs, uses, run_when, state,
    needs_succeeded, needs_failed, needs_skipped, attempt, output, map_total, rows_in, rows_out, rows_rejected, warned,
    error, started_at, finished_at, copied_from)
  select tenant, p_new, s.key, s.kind, s.position, s.connection, s.needs, s.uses, s."when",
    coalesce(o.state, case when cardinality(s.needs) = 0 or s."when" = 'always' then 'ready' else 'pending' end),
    coalesce(o.needs_succeeded, 0), coalesce(o.needs_failed, 0), coalesce(o.needs_skipped, 0), coalesce(o.attempt, 0),
    o.output, o.map_total, coalesce(o.rows_in, 0), coalesce(o.rows_out, 0), coalesce(o.rows_rejected, 0),
    coalesce(o.warned, false), o.error, o.started_at, o.finished_at, coalesce(o.copied_from, o.run_id)
  from jsonb_to_recordset(version.plan)
    as s(key text, kind text, position integer, connection text, needs text[], uses text[], "when" text)
  left join public.steps o on o.tenant_id = tenant and o.run_id = p_run and o.key = s.key and o.map_index = 0
    and s.key <> all(again);
  foreach how in array array['succeeded', 'failed', 'skipped'] loop
    perform app.propagate(tenant, p_new, array(
      select key from public.steps where tenant_id = tenant and run_id = p_new and state = how and copied_from is not null), how);
  end loop;
  select count(*) filter (where state in ('pending', 'ready')), bool_or(state = 'ready'),
    array_agg(key order by position) filter (where state = 'skipped' and copied_from is null)
  into open_steps, can_start, skipped
  from public.steps where tenant_id = tenant and run_id = p_new;
  if not can_start then
    delete from public.runs where tenant_id = tenant and id = p_new;
    return '{"refused": "skipped"}';
  end if;
  counted := app.count_run(tenant, old.pipeline_id, version.id, 'rerun');
  if counted ? 'refused' then
    delete from public.runs where tenant_id = tenant and id = p_new;
    return counted;
  end if;
  perform set_config('app.made', p_new, true);
  perform app.tell(tenant, p_new, 0,
    'run.queued'::text || array_fill('step.skipped'::text, array[cardinality(coalesce(skipped, '{}'))]),
    null::text || coalesce(skipped, '{}'), null,
    array[jsonb_strip_nulls(jsonb_build_object(
      'trigger', 'rerun', 'rerunOf', p_run, 'from', p_from, 'reason', p_options->>'reason'))]);
  update public.runs set unfinished = open_steps, events = 1 + cardinality(coalesce(skipped, '{}'))
  where tenant_id = tenant and id = p_new;
  perform app.note_run(tenant, 'run.rerun', p_new,
    jsonb_build_object('of', p_run, 'from', p_from, 'pipelineId', old.pipeline_id, 'reason', p_options->>'reason'));
  return jsonb_build_object('runId', p_new, 'outboxId', (app.wake(tenant, p_new, null)->>'id')::bigint);
end
$$;
--> statement-breakpoint
-- Has what loads of these steps have staged elsewhere dropped. A delivery that is still at work on one of them looks again
-- when it notices that the step is not its own any more. The id is the one of loadIdOf() in src/engine/steps/load.ts.
create function app.drop_stages(r public.runs, p_keys text[]) returns void
language sql
as $$
  insert into public.outbox (tenant_id, kind, payload, send_after)
  select r.tenant_id, 'connection.drop_stage', jsonb_build_object('connectionId', c.id, 'table', d.value->'load'->>'table',
      'loadId', encode(substr(sha256(convert_to(concat_ws(' ', r.tenant_id, r.id, s.key), 'UTF8')), 1, 12), 'hex')),
    now()
  from public.steps s
  join public.pipeline_versions v on v.tenant_id = r.tenant_id and v.id = r.version_id
  cross join jsonb_array_elements(v.definition->'steps') d
  join public.connections c on c.tenant_id = r.tenant_id and c.name = d.value->'load'->>'connection'
  where s.tenant_id = r.tenant_id and s.run_id = r.id and s.key = any(p_keys) and s.map_index = 0 and s.kind = 'load'
    and s.attempt > 0 and d.value->>'id' = s.key
$$;
--> statement-breakpoint
-- Stops the runs that a run, or one step of it, waits for. The caller holds the run's row, and no step's: a child that
-- ends at this moment wants the step that waits for it.
create function app.stop_children(p_tenant text, p_run text, p_step text) returns jsonb
language plpgsql
as $$
declare
  child text;
  wakes jsonb := '[]';
begin
  for child in
    select c.id from public.runs c
    where c.tenant_id = p_tenant and c.parent_run_id = p_run and c.finished_at is null
      and c.parent_step_key is not null and coalesce(split_part(c.parent_step_key, '.', 1) = p_step, true)
    order by c.id
  loop
    wakes := wakes || coalesce(app.stop_run(p_tenant, child)->'wakes', '[]');
  end loop;
  return wakes;
end
$$;
--> statement-breakpoint
-- Ends an open step as somebody says: whoever works on it loses it, and what follows goes on as if it had ended so.
-- Returns {"runState","wakes"}, null when there is no such run or step, or {"refused"}: 'over' or 'cancelling' (the run),
-- 'pending' or 'ended' (the step).
create function app.mark_step(p_run text, p_key text, p_as text, p_reason text) returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.enter();
  r public.runs;
  s public.steps;
  moved record;
  wakes jsonb;
  ended jsonb;
  finished integer := 1;
  types text[] := array['step.' || p_as];
  keys text[] := array[p_key];
  datas jsonb[] := array[jsonb_build_object('marked', true, 'reason', p_reason)];
begin
  perform app.guard('run', p_run);
  if p_as not in ('succeeded', 'failed') then
    raise exception 'a step is marked as succeeded or failed' using errcode = '22023';
  end if;
  select * into r from public.runs where tenant_id = tenant and id = p_run for no key update;
  select * into s from public.steps where tenant_id = tenant and run_id = p_run and key = p_key and map_index = 0;
  if s.key is null then
    return null;
  elsif r.finished_at is not null or r.state = 'cancelling' then
    return jsonb_build_object('refused', case when r.state = 'cancelling' then 'cancelling' else 'over' end, 'runState', r.state);
  elsif s.state not in ('ready', 'running', 'waiting') then
    return jsonb_build_object('refused', case when s.state = 'pending' then 'pending' else 'ended' end, 'stepState', s.state);
  end if;
  wakes := app.stop_children(tenant, p_run, p_key);
  perform app.drop_stages(r, keys);
  update public.steps t
  set state = p_as, fence = t.fence + 1, lease_until = null, claimed_by = null, next_attempt_at = null,
    answer = null, answer_key = null, started_at = coalesce(t.started_at, clock_timestamp()), finished_at = clock_timestamp(),
    error = case when p_as = 'failed' then jsonb_build_object('code', 'marked', 'message', 'Marked as failed: ' || p_reason) end
  where t.tenant_id = tenant and t.run_id = p_run and t.key = p_key and t.map_index = 0;
  if s.map_total is not null then
    perform app.cancel_items(s);
  end if;
  if r.unfinished > 1 then
    moved := app.propagate(tenant, p_run, array[p_key], p_as);
    finished := 1 + (select count(*) from unnest(moved.states) m where m = 'skipped');
    types := types || array(select 'step.' || m from unnest(moved.states) m);
    keys := keys || moved.keys;
    datas := datas || array_fill(null::jsonb, array[cardinality(moved.keys)]);
  end if;
  if r.unfinished = finished then
    ended := app.finish_run(r, types, keys, array_fill(null::integer, array[cardinality(types)]), datas);
    wakes := wakes || (ended->'wakes');
    r.state := ended->>'runState';
  else
    if r.state <> 'queued' then
      -- Whoever worked on what was stopped here goes on with nothing: what is ready needs somebody else.
      wakes := wakes || app.wakes(tenant, p_run, (
        select count(*)::integer from (
          select from public.steps t
          where t.tenant_id = tenant and t.run_id = p_run and t.state = 'ready' and coalesce(t.next_attempt_at <= clock_timestamp(), true)
          limit 16) ready));
    end if;
    if r.state = 'running' and not exists (
      select from public.steps t where t.tenant_id = tenant and t.run_id = p_run and t.state in ('ready', 'running')
    ) then
      r.state := 'waiting';
      types := types || 'run.waiting'::text;
      keys := keys || null::text;
      datas := datas || null::jsonb;
    end if;
    perform app.tell(tenant, p_run, r.events, types, keys, null, datas);
    update public.runs set unfinished = r.unfinished - finished, events = r.events + cardinality(types), state = r.state
    where tenant_id = tenant and id = p_run;
  end if;
  if s.connection is not null then
    wakes := wakes || coalesce(app.wake_for_place(tenant, s.connection, p_run), '[]');
  end if;
  perform app.note_run(tenant, 'run.mark_step', p_run, jsonb_build_object('step', p_key, 'as', p_as, 'reason', p_reason));
  return jsonb_build_object('runState', r.state, 'wakes', wakes);
end
$$;
--> statement-breakpoint
-- Ends an open run as somebody says; its open steps are cancelled. As app.mark_step.
create function app.mark_run(p_run text, p_as text, p_reason text) returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.enter();
  r public.runs;
  used text;
  busy text[];
  wakes jsonb;
  ended jsonb;
begin
  perform app.guard('run', p_run);
  if p_as not in ('succeeded', 'failed') then
    raise exception 'a run is marked as succeeded or failed' using errcode = '22023';
  end if;
  select * into r from public.runs where tenant_id = tenant and id = p_run for no key update;
  if not found then
    return null;
  elsif r.finished_at is not null or r.state = 'cancelling' then
    return jsonb_build_object('refused', case when r.state = 'cancelling' then 'cancelling' else 'over' end, 'runState', r.state);
  end if;
  wakes := app.stop_children(tenant, p_run, null);
  with stopped as (
    update public.steps t
    set state = 'cancelled', finished_at = clock_timestamp(), fence = t.fence + 1, lease_until = null, claimed_by = null,
      next_attempt_at = null, answer = null, answer_key = null
    where t.tenant_id = tenant and t.run_id = p_run and t.state in ('pending', 'ready', 'running', 'waiting')
    returning t.connection)
  select array_agg(distinct connection) filter (where connection is not null) into busy from stopped;
  r.state := p_as;
  ended := app.finish_run(r, array['run.marked'], array[null::text], array[null::integer],
    array[jsonb_build_object('as', p_as, 'reason', p_reason)]);
  wakes := wakes || (ended->'wakes');
  foreach used in array coalesce(busy, '{}') loop
    wakes := wakes || coalesce(app.wake_for_place(tenant, used, p_run), '[]');
  end loop;
  perform app.note_run(tenant, 'run.mark', p_run, jsonb_build_object('as', p_as, 'reason', p_reason));
  return jsonb_build_object('runState', p_as, 'wakes', wakes);
end
$$;
--> statement-breakpoint
-- Has the run of a dead letter done again from what failed; its other letters are resolved with it. Once: returns what
-- app.rerun_run does, null when there is no such letter, {"refused": 'resolved', "state", "runId"} when it was done before.
create function app.replay_letter(p_letter text, p_new text, p_options jsonb) returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.enter();
  d public.dead_letters;
  made jsonb;
begin
  perform app.guard('letter', p_letter);
  perform from public.dead_letters l
  where l.tenant_id = tenant
    and l.run_id = (select run_id from public.dead_letters where tenant_id = tenant and id = p_letter)
  order by l.id for no key update;
  select * into d from public.dead_letters where tenant_id = tenant and id = p_letter;
  if not found then
    return null;
  elsif d.state <> 'open' then
    return jsonb_build_object('refused', 'resolved', 'state', d.state, 'runId', d.replay_run_id);
  end if;
  made := app.rerun_run(p_new, d.run_id, 'failed', p_options);
  if made ? 'runId' then
    update public.dead_letters
    set state = 'replayed', replay_run_id = p_new, resolved_at = now(), resolved_by = app.actor(), reason = p_options->>'reason'
    where tenant_id = tenant and run_id = d.run_id and state = 'open';
  end if;
  return made;
end
$$;
--> statement-breakpoint
-- The same for every open letter that fits {"pipelineId","code","since"}, each run once, as many as there are ids of new
-- runs. Letters that somebody else is replaying at this moment are his. Returns {"replayed": [{"runId","outboxId","of"}],
-- "refused": [{"runId","refused"}]}.
create function app.replay_letters(p_filter jsonb, p_new text[], p_options jsonb) returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.enter();
  letter record;
  made jsonb;
  replayed jsonb := '[]';
  refused jsonb := '[]';
begin
  perform app.guard('pipeline', p_filter->>'pipelineId');
  for letter in
    select min(l.id) as id, l.run_id from public.dead_letters l
    where l.tenant_id = tenant and l.state = 'open'
      and coalesce(l.pipeline_id = p_filter->>'pipelineId', true)
      and coalesce(l.code = p_filter->>'code', true)
      and coalesce(l.created_at >= (p_filter->>'since')::timestamptz, true)
    group by l.run_id order by 1 limit cardinality(p_new)
  loop
    perform from public.dead_letters where tenant_id = tenant and id = letter.id and state = 'open'
    for no key update skip locked;
    continue when not found;
    made := app.replay_letter(letter.id, p_new[1 + jsonb_array_length(replayed)], p_options);
    if made ? 'outboxId' then
      replayed := replayed || (made || jsonb_build_object('of', letter.run_id));
    elsif made->>'refused' is distinct from 'resolved' then
      refused := refused || jsonb_build_object('runId', letter.run_id, 'refused', made->>'refused');
    end if;
  end loop;
  return jsonb_build_object('replayed', replayed, 'refused', refused);
end
$$;
--> statement-breakpoint
-- Lets an open letter be. Null when there is no such letter, {"refused": 'resolved'} when it is not open any more.
create function app.dismiss_letter(p_letter text, p_reason text) returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.enter();
  was text;
begin
  perform app.guard('letter', p_letter);
  select state into was from public.dead_letters where tenant_id = tenant and id = p_letter for no key update;
  if not found then
    return null;
  elsif was <> 'open' then
    return jsonb_build_object('refused', 'resolved', 'state', was);
  end if;
  update public.dead_letters
  set state = 'dismissed', resolved_at = now(), resolved_by = app.actor(), reason = p_reason
  where tenant_id = tenant and id = p_letter;
  return '{}';
end
$$;
--> statement-breakpoint
do $$
declare
  f regprocedure;
begin
  foreach f in array array[
    'app.pause_pipeline(text,text)', 'app.resume_pipeline(text)', 'app.limit_tenant(integer)',
    'app.open_connection(text,boolean)', 'app.set_priority(text,integer,text)', 'app.rerun_run(text,text,text,jsonb)',
    'app.mark_step(text,text,text,text)', 'app.mark_run(text,text,text)', 'app.replay_letter(text,text,jsonb)',
    'app.replay_letters(jsonb,text[],jsonb)', 'app.dismiss_letter(text,text)']::regprocedure[]
  loop
    execute format('alter function %s owner to weir_engine', f);
    execute format('revoke all on function %s from public', f);
    execute format('grant execute on function %s to weir_app, weir_engine', f);
  end loop;
end
$$;
--> statement-breakpoint
revoke create on schema app from weir_engine;
