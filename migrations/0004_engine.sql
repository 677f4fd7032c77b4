-- How a run moves. Each function is one transaction's work under the tenant's claim: it locks the run's row first, so two
-- deliveries of one run decide one after the other, and it writes only where the fence of the step still is the caller's.
-- Rows are locked FOR NO KEY UPDATE: FOR UPDATE would wait for transactions that only refer to the run, such as two steps
-- that both made a version before they complete, and would wait for ever.
-- Durations come in milliseconds. Errors: WE001 the step is no longer the caller's, WE002 the run is being cancelled.

-- Whether a step may start, given what became of the steps it needs: 'run', 'skip' or 'wait'.
-- The same table as decide() in src/domain/run-state.ts; a test compares the two on every combination.
create function app.decide(run_when text, total integer, succeeded integer, failed integer, skipped integer)
returns text
language sql immutable parallel safe
as $$
  select case run_when
    when 'always' then 'run'
    when 'all_success' then
      case when failed + skipped > 0 then 'skip' when succeeded = total then 'run' else 'wait' end
    when 'all_done' then
      case when succeeded + failed + skipped = total then 'run' else 'wait' end
    when 'all_failed' then
      case when succeeded + skipped > 0 then 'skip' when failed = total then 'run' else 'wait' end
    when 'one_success' then
      case when succeeded > 0 then 'run' when failed + skipped = total then 'skip' else 'wait' end
    when 'one_failed' then
      case when failed > 0 then 'run' when succeeded + skipped = total then 'skip' else 'wait' end
    when 'none_failed' then
      case when failed > 0 then 'skip' when succeeded + skipped = total then 'run' else 'wait' end
    when 'none_failed_min_one_success' then
      case when failed > 0 then 'skip' when succeeded + skipped < total then 'wait' when succeeded > 0 then 'run' else 'skip' end
  end
$$;
--> statement-breakpoint
-- Notes a wake-up of the run to be delivered after the commit. Returns its number.
create function app.wake(p_tenant text, p_run text, p_not_before timestamptz default null) returns bigint
language sql
as $$
  insert into public.outbox (tenant_id, kind, payload, not_before, send_after)
  values (p_tenant, 'run', jsonb_build_object('runId', p_run), p_not_before, coalesce(p_not_before, now()) + interval '60 s')
  returning id
$$;
--> statement-breakpoint
-- Starts a run of the pipeline's current version: the run, its steps, its first event and its wake-up.
-- Returns {"runId","outboxId"}, or null when there is no such pipeline.
create function app.start_run(p_run text, p_pipeline text, p_parameters jsonb, p_trigger text, p_traceparent text)
returns jsonb
language plpgsql
as $$
declare
  tenant text := app.tenant_id();
  version record;
begin
  select v.id, v.plan into version
  from public.pipelines p
  join public.pipeline_versions v on v.tenant_id = p.tenant_id and v.pipeline_id = p.id and v.version = p.current_version
  where p.tenant_id = tenant and p.id = p_pipeline and p.deleted_at is null;
  if not found then
    return null;
  end if;
  insert into public.runs (tenant_id, id, pipeline_id, version_id, state, trigger, parameters, started_by, traceparent, unfinished, events)
  values (tenant, p_run, p_pipeline, version.id, 'queued', p_trigger, p_parameters, app.actor(), p_traceparent,
    jsonb_array_length(version.plan), 1);
  insert into public.steps (tenant_id, run_id, key, kind, position, needs, run_when, state)
  select tenant, p_run, s.key, s.kind, s.position, s.needs, s."when", case when cardinality(s.needs) = 0 or s."when" = 'always' then 'ready' else 'pending' end
  from jsonb_to_recordset(version.plan) as s(key text, kind text, position integer, needs text[], "when" text);
  insert into public.run_events (tenant_id, run_id, seq, type, actor, data)
  values (tenant, p_run, 1, 'run.queued', app.actor(), jsonb_build_object('trigger', p_trigger));
  return jsonb_build_object('runId', p_run, 'outboxId', app.wake(tenant, p_run));
end
$$;
--> statement-breakpoint
-- Fires a schedule once: moves it on from the time that was due, and starts the run with its parameters' defaults.
-- Null when another tick was first.
create function app.fire_schedule(p_schedule text, p_due timestamptz, p_next timestamptz, p_run text)
returns jsonb
language plpgsql
as $$
declare
  tenant text := app.tenant_id();
  pipeline text;
begin
  update public.schedules set next_fire_at = p_next
  where tenant_id = tenant and id = p_schedule and next_fire_at = p_due
  returning pipeline_id into pipeline;
  if pipeline is null then
    return null;
  end if;
  return app.start_run(p_run, pipeline, '{}', 'schedule', null);
end
$$;
--> statement-breakpoint
-- The next step of a locked run that can start now, claimed for a delivery: leased, fenced, counted. A step whose lease
-- has run out is taken over; so is one that an earlier attempt of the same delivery held (p_retry), at once. When the
-- run's time is up nothing waits any longer: the delivery ends each step that it is given.
create function app.take_step(p_run public.runs, p_delivery text, p_retry boolean, p_lease_ms integer)
returns public.steps
language sql
as $$
  update public.steps s
  set state = 'running', attempt = s.attempt + 1, fence = s.fence + 1, claimed_by = p_delivery,
      lease_until = clock_timestamp() + p_lease_ms * interval '1 ms', next_attempt_at = null,
      started_at = coalesce(s.started_at, clock_timestamp())
  where s.tenant_id = (p_run).tenant_id and s.run_id = (p_run).id and (s.key, s.map_index) = (
    select c.key, c.map_index from public.steps c
    where c.tenant_id = (p_run).tenant_id and c.run_id = (p_run).id
      and (c.state = 'ready' and coalesce(c.next_attempt_at <= clock_timestamp(), true)
        or c.state = 'waiting' and c.next_attempt_at <= clock_timestamp()
        or c.state in ('ready', 'waiting') and (p_run).deadline_at < clock_timestamp()
        or c.state = 'running' and (c.lease_until < clock_timestamp() or p_retry and c.claimed_by = p_delivery))
    order by c.position, c.map_index
    limit 1)
  returning s.*
$$;
--> statement-breakpoint
-- What the Worker needs to know of a claimed step.
create function app.step_json(s public.steps) returns jsonb
language sql immutable
as $$
  select jsonb_build_object('key', s.key, 'mapIndex', s.map_index, 'kind', s.kind, 'attempt', s.attempt, 'fence', s.fence,
    'cursor', s.cursor, 'rowsIn', s.rows_in, 'rowsOut', s.rows_out, 'rowsRejected', s.rows_rejected)
$$;
--> statement-breakpoint
-- The oldest run of the pipeline, other than p_run, that waits for a place.
create function app.next_queued(p_tenant text, p_pipeline text, p_run text) returns text
language sql stable
as $$
  select q.id from public.runs q
  where q.tenant_id = p_tenant and q.pipeline_id = p_pipeline and q.finished_at is null and q.state = 'queued' and q.id <> p_run
    and exists (select from public.pipeline_versions v where v.tenant_id = q.tenant_id and v.id = q.version_id and v.concurrency is not null)
  order by q.id limit 1
$$;
--> statement-breakpoint
-- Ends a locked run whose steps are all finished, says so, and wakes the next one that waits for its place. Where places
-- are counted, runs of one pipeline end one after the other and never while another counts: else a run could find no
-- place at the moment when its place became free, and nobody would wake it.
-- Returns {"runState","wakes"}.
create function app.finish_run(r public.runs, p_seq integer) returns jsonb
language plpgsql
as $$
declare
  outcome text;
  waiting text;
  counted boolean := false;
begin
  select case
      when r.state = 'cancelling' then 'cancelled'
      when bool_or(s.state = 'failed') then 'failed'
      when bool_or(s.warned) then 'succeeded_with_warnings'
      else 'succeeded' end
  into outcome
  from public.steps s where s.tenant_id = r.tenant_id and s.run_id = r.id;
  if exists (
    select from public.pipeline_versions v
    where v.tenant_id = r.tenant_id and v.pipeline_id = r.pipeline_id and v.concurrency is not null
  ) then
    perform from public.pipelines where tenant_id = r.tenant_id and id = r.pipeline_id for no key update;
    counted := true;
  end if;
  update public.runs
  set state = outcome, finished_at = clock_timestamp(), unfinished = 0, events = p_seq + 1
  where tenant_id = r.tenant_id and id = r.id;
  insert into public.run_events (tenant_id, run_id, seq, type, actor)
  values (r.tenant_id, r.id, p_seq + 1, 'run.' || outcome, app.actor());
  if counted then
    waiting := app.next_queued(r.tenant_id, r.pipeline_id, r.id);
  end if;
  return jsonb_build_object('runState', outcome, 'wakes',
    case when waiting is null then '[]'::jsonb
      else jsonb_build_array(jsonb_build_object('id', app.wake(r.tenant_id, waiting), 'runId', waiting)) end);
end
$$;
--> statement-breakpoint
-- A delivery asks for work on a run. Takes its message off the outbox, moves a queued run to running when its pipeline
-- has room, and claims a step. Returns {"outcome"}: 'over' (no such run, or finished), 'queued' (no room yet), 'idle'
-- (nothing can start now), or 'claimed' with "run", "step" and "wakes" (outbox numbers to publish now).
create function app.claim_step(p_run text, p_outbox bigint, p_delivery text, p_retry boolean, p_lease_ms integer)
returns jsonb
language plpgsql
as $$
declare
  tenant text := app.tenant_id();
  r public.runs;
  s public.steps;
  version record;
  seq integer;
  room integer;
  later timestamptz;
  wakes bigint[] := '{}';
  again boolean;
  next_run text;
  stopped integer;
begin
  delete from public.outbox where tenant_id = tenant and id = p_outbox;
  -- A message that comes again must not leave another one behind, or they would double with every wait.
  again := p_outbox is not null and not found;
  select * into r from public.runs where tenant_id = tenant and id = p_run for no key update;
  if not found or r.finished_at is not null then
    return jsonb_build_object('outcome', 'over');
  end if;
  seq := r.events;
  select v.definition, v.concurrency, v.version into version
  from public.pipeline_versions v where v.tenant_id = tenant and v.id = r.version_id;

  if r.state = 'cancelling' then
    with cancelled as (
      update public.steps set state = 'cancelled', finished_at = clock_timestamp(), lease_until = null, claimed_by = null
      where tenant_id = tenant and run_id = p_run and state = 'running'
        and (lease_until < clock_timestamp() or p_retry and claimed_by = p_delivery)
      returning 1)
    select count(*) into stopped from cancelled;
    if r.unfinished = stopped then
      return jsonb_build_object('outcome', 'over') || app.finish_run(r, seq);
    end if;
    update public.runs set unfinished = r.unfinished - stopped where tenant_id = tenant and id = p_run;
    return jsonb_build_object('outcome', 'over');
  end if;

  if r.state = 'queued' then
    if version.concurrency is not null then
      perform from public.pipelines where tenant_id = tenant and id = r.pipeline_id for no key update;
      select count(*) into room from public.runs
      where tenant_id = tenant and pipeline_id = r.pipeline_id and finished_at is null and state <> 'queued';
      if room >= version.concurrency then
        return jsonb_build_object('outcome', 'queued');
      end if;
      -- Two runs that ended at once have both woken the same one: whoever starts looks whether there is room for another.
      if room + 1 < version.concurrency then
        next_run := app.next_queued(tenant, r.pipeline_id, p_run);
      end if;
    end if;
    r.started_at := clock_timestamp();
    r.deadline_at := r.started_at + (version.definition->>'timeoutMs')::bigint * interval '1 ms';
    seq := seq + 1;
    insert into public.run_events (tenant_id, run_id, seq, type, actor) values (tenant, p_run, seq, 'run.running', app.actor());
    wakes := array(select app.wake(tenant, p_run)
      from generate_series(2, (select count(*) from public.steps where tenant_id = tenant and run_id = p_run and state = 'ready')));
    if next_run is not null then
      wakes := wakes || app.wake(tenant, next_run);
    end if;
  end if;

  s := app.take_step(r, p_delivery, p_retry, p_lease_ms);
  if s.key is null then
    if p_outbox is not null and not again then
      select min(next_attempt_at) into later from public.steps
      where tenant_id = tenant and run_id = p_run and state in ('ready', 'waiting') and next_attempt_at is not null;
      if later is not null then
        wakes := wakes || app.wake(tenant, p_run, later);
      end if;
    end if;
  else
    seq := seq + 1;
    insert into public.run_events (tenant_id, run_id, seq, type, step_key, actor, data)
    values (tenant, p_run, seq, 'step.running', s.key, app.actor(), jsonb_build_object('attempt', s.attempt));
    r.state := 'running';
  end if;
  if seq <> r.events or s.key is not null then
    update public.runs set state = r.state, started_at = r.started_at, deadline_at = r.deadline_at, events = seq
    where tenant_id = tenant and id = p_run;
  end if;
  return jsonb_build_object(
    'outcome', case when s.key is null then 'idle' else 'claimed' end,
    'step', case when s.key is not null then app.step_json(s) end,
    'run', jsonb_build_object('id', r.id, 'pipelineId', r.pipeline_id, 'definition', version.definition, 'parameters', r.parameters,
      'traceparent', r.traceparent, 'deadlineAt', r.deadline_at),
    'wakes', case when wakes = '{}' then '[]'::jsonb else (select coalesce(jsonb_agg(jsonb_build_object('id', o.id, 'notBefore', o.not_before, 'runId', o.payload->>'runId')), '[]')
              from public.outbox o where o.tenant_id = tenant and o.id = any(wakes)) end);
end
$$;
--> statement-breakpoint
-- Stores how a step ended, readies or skips what waited for it, and claims the next step for the same delivery. It is the
-- last statement of the transaction that wrote what the step made: WE001 and WE002 take that back too.
-- p_result: {"state": succeeded|failed|cancelled|waiting|ready, "delayMs"?, "rowsIn"?, "rowsOut"?, "rowsRejected"?,
-- "warned"?, "error"?: {"code","message"}, "cursor"?}. waiting and ready come back after delayMs; ready with "yielded" is
-- a continuation and no new attempt. Without rowsOut the rows of the version that the step made are its rows out; with
-- "rejects" what is missing from rowsIn is rejected. Returns {"runState", "step"? (the claimed one), "wakes"}.
create function app.complete_step(p_run text, p_key text, p_map integer, p_fence bigint, p_result jsonb, p_delivery text, p_lease_ms integer)
returns jsonb
language plpgsql
as $$
declare
  tenant text := app.tenant_id();
  r public.runs;
  s public.steps;
  n record;
  verdict text;
  seq integer;
  finished integer := 0;
  readied integer := 0;
  over boolean := p_result->>'state' in ('succeeded', 'failed', 'cancelled');
  until timestamptz := clock_timestamp() + coalesce((p_result->>'delayMs')::bigint, 0) * interval '1 ms';
  wakes bigint[] := '{}';
  next_state text := p_result->>'state';
  made bigint;
  ended text[] := array[p_key];
  skipped text[];
begin
  select * into r from public.runs where tenant_id = tenant and id = p_run for no key update;
  if not found or r.finished_at is not null then
    raise exception 'the run is over' using errcode = 'WE001';
  end if;
  if r.state = 'cancelling' and next_state <> 'cancelled' then
    raise exception 'the run is being cancelled' using errcode = 'WE002';
  end if;
  if next_state = 'succeeded' and not p_result ? 'rowsOut' then
    select v.rows into made from public.dataset_versions v
    where v.tenant_id = tenant and v.run_id = p_run and v.step_key = p_key and v.state = 'ready';
  end if;
  update public.steps t set
    state = next_state,
    lease_until = null, claimed_by = null,
    attempt = case when p_result ? 'yielded' then t.attempt - 1 else t.attempt end,
    next_attempt_at = case when over then null else until end,
    finished_at = case when over then clock_timestamp() end,
    rows_in = coalesce((p_result->>'rowsIn')::bigint, t.rows_in),
    rows_out = coalesce((p_result->>'rowsOut')::bigint, made, t.rows_out),
    rows_rejected = coalesce((p_result->>'rowsRejected')::bigint,
      case when p_result ? 'rejects' then (p_result->>'rowsIn')::bigint - made end, t.rows_rejected),
    warned = t.warned or coalesce((p_result->>'warned')::boolean, false),
    error = case when next_state = 'succeeded' then null else coalesce(p_result->'error', t.error) end,
    cursor = case when p_result ? 'cursor' then p_result->'cursor' else t.cursor end
  where t.tenant_id = tenant and t.run_id = p_run and t.key = p_key and t.map_index = p_map and t.fence = p_fence and t.state = 'running';
  if not found then
    raise exception 'the step is no longer this delivery''s' using errcode = 'WE001';
  end if;
  seq := r.events + 1;
  insert into public.run_events (tenant_id, run_id, seq, type, step_key, actor, data)
  values (tenant, p_run, seq, 'step.' || case when p_result ? 'yielded' then 'continued' when next_state = 'ready' then 'retrying' else next_state end,
    p_key, app.actor(), nullif(p_result - '{state,cursor,yielded,rejects}'::text[], '{}'));

  if not over then
    wakes := array[app.wake(tenant, p_run, case when p_result ? 'yielded' then null else until end)];
  else
    finished := 1;
    if r.state <> 'cancelling' then
      loop
        skipped := '{}';
        for n in
          select w.key, w.map_index, w.run_when, cardinality(w.needs) as total,
            count(*) filter (where d.state = 'succeeded') as succeeded,
            count(*) filter (where d.state in ('failed', 'cancelled')) as failed,
            count(*) filter (where d.state = 'skipped') as skipped
          from public.steps w
          join public.steps d on d.tenant_id = tenant and d.run_id = p_run and d.key = any(w.needs)
          where w.tenant_id = tenant and w.run_id = p_run and w.state = 'pending' and w.needs && ended
          group by w.key, w.map_index, w.run_when, w.needs, w.position
          order by w.position
        loop
          verdict := app.decide(n.run_when, n.total, n.succeeded::integer, n.failed::integer, n.skipped::integer);
          continue when verdict = 'wait';
          update public.steps t set state = case verdict when 'run' then 'ready' else 'skipped' end,
            finished_at = case verdict when 'skip' then clock_timestamp() end
          where t.tenant_id = tenant and t.run_id = p_run and t.key = n.key and t.map_index = n.map_index;
          seq := seq + 1;
          insert into public.run_events (tenant_id, run_id, seq, type, step_key, actor)
          values (tenant, p_run, seq, case verdict when 'run' then 'step.ready' else 'step.skipped' end, n.key, app.actor());
          if verdict = 'run' then
            readied := readied + 1;
          else
            finished := finished + 1;
            skipped := skipped || n.key;
          end if;
        end loop;
        exit when skipped = '{}';
        ended := skipped;
      end loop;
    end if;
  end if;

  if r.unfinished - finished = 0 then
    return app.finish_run(r, seq);
  end if;

  if r.state <> 'cancelling' and not (p_result ? 'yielded') then
    s := app.take_step(r, p_delivery, false, p_lease_ms);
    if s.key is not null then
      seq := seq + 1;
      insert into public.run_events (tenant_id, run_id, seq, type, step_key, actor, data)
      values (tenant, p_run, seq, 'step.running', s.key, app.actor(), jsonb_build_object('attempt', s.attempt));
    elsif next_state = 'waiting' and not exists (
      select from public.steps t where t.tenant_id = tenant and t.run_id = p_run and t.state in ('ready', 'running')
    ) then
      r.state := 'waiting';
    end if;
    if readied > 1 or s.key is null and readied > 0 then
      wakes := wakes || array(select app.wake(tenant, p_run) from generate_series(case when s.key is null then 1 else 2 end, readied));
    end if;
  end if;
  update public.runs set unfinished = r.unfinished - finished, events = seq, state = r.state where tenant_id = tenant and id = p_run;
  return jsonb_build_object('runState', r.state,
    'step', case when s.key is not null then app.step_json(s) end,
    'wakes', case when wakes = '{}' then '[]'::jsonb else (select coalesce(jsonb_agg(jsonb_build_object('id', o.id, 'notBefore', o.not_before, 'runId', p_run)), '[]')
              from public.outbox o where o.tenant_id = tenant and o.id = any(wakes)) end);
end
$$;
--> statement-breakpoint
-- Commits a step's place together with the rows that the same transaction wrote; refuses the whole transaction when the
-- step has gone to somebody else (WE001) or the run is being cancelled (WE002).
create function app.checkpoint(p_run text, p_key text, p_map integer, p_fence bigint, p_cursor jsonb,
  p_rows_in bigint, p_rows_out bigint, p_lease_ms integer) returns void
language plpgsql
as $$
declare
  tenant text := app.tenant_id();
begin
  update public.steps set cursor = p_cursor, rows_in = p_rows_in, rows_out = p_rows_out,
    lease_until = clock_timestamp() + p_lease_ms * interval '1 ms'
  where tenant_id = tenant and run_id = p_run and key = p_key and map_index = p_map and fence = p_fence and state = 'running';
  if not found then
    raise exception 'the step is no longer this delivery''s' using errcode = 'WE001';
  end if;
  if exists (select from public.runs where tenant_id = tenant and id = p_run and state = 'cancelling') then
    raise exception 'the run is being cancelled' using errcode = 'WE002';
  end if;
end
$$;
--> statement-breakpoint
-- Keeps a lease while one long statement works. Returns 'held', 'cancelling' or 'lost'. A step that has just been completed
-- under this fence is not lost: the answer to its completion is on its way.
create function app.renew_lease(p_run text, p_key text, p_map integer, p_fence bigint, p_lease_ms integer) returns text
language plpgsql
as $$
declare
  tenant text := app.tenant_id();
begin
  update public.steps set lease_until = clock_timestamp() + p_lease_ms * interval '1 ms'
  where tenant_id = tenant and run_id = p_run and key = p_key and map_index = p_map and fence = p_fence and state = 'running';
  if not found then
    return case when exists (
      select from public.steps
      where tenant_id = tenant and run_id = p_run and key = p_key and map_index = p_map and fence = p_fence
    ) then 'held' else 'lost' end;
  end if;
  return coalesce((select 'cancelling' from public.runs where tenant_id = tenant and id = p_run and state = 'cancelling'), 'held');
end
$$;
--> statement-breakpoint
-- Asks a run to stop: what has not begun is cancelled now, what is under way by its own delivery. Returns {"runState"},
-- with "over" when it had finished already, null when there is no such run.
create function app.cancel_run(p_run text) returns jsonb
language plpgsql
as $$
declare
  tenant text := app.tenant_id();
  r public.runs;
  stopped integer;
begin
  select * into r from public.runs where tenant_id = tenant and id = p_run for no key update;
  if not found then
    return null;
  end if;
  if r.finished_at is not null then
    return jsonb_build_object('runState', r.state, 'over', true);
  end if;
  if r.state = 'cancelling' then
    return jsonb_build_object('runState', r.state);
  end if;
  with cancelled as (
    update public.steps set state = 'cancelled', finished_at = clock_timestamp()
    where tenant_id = tenant and run_id = p_run and state in ('pending', 'ready', 'waiting')
    returning 1)
  select count(*) into stopped from cancelled;
  r.state := 'cancelling';
  update public.runs set state = 'cancelling', unfinished = r.unfinished - stopped, events = r.events + 1
  where tenant_id = tenant and id = p_run;
  insert into public.run_events (tenant_id, run_id, seq, type, actor)
  values (tenant, p_run, r.events + 1, 'run.cancelling', app.actor());
  if r.unfinished - stopped = 0 then
    return app.finish_run(r, r.events + 1);
  end if;
  return jsonb_build_object('runState', 'cancelling');
end
$$;
--> statement-breakpoint
-- The tick's look across tenants: wakes runs whose step lost its holder or whose time is up, and hands out every message
-- that is still waiting in the outbox past its time. Each is handed to one tick only, and again later if it stays.
create function app.sweep(p_limit integer)
returns table (tenant_id text, id bigint, kind text, payload jsonb, not_before timestamptz)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
begin
  insert into public.outbox (tenant_id, kind, payload, send_after)
  select s.tenant_id, 'run', jsonb_build_object('runId', s.run_id), now()
  from (
    select tenant_id, run_id from public.steps where state = 'running' and lease_until < now()
    union
    select tenant_id, id from public.runs where finished_at is null and deadline_at < now()
  ) s
  where not exists (
    select from public.outbox o
    where o.tenant_id = s.tenant_id and o.kind = 'run' and o.payload->>'runId' = s.run_id
      and coalesce(o.not_before <= now(), true))
  limit p_limit;
  return query
    update public.outbox o
    set attempts = least(o.attempts + 1, 1000),
        send_after = now() + least(power(2, least(o.attempts, 6)) * interval '30 s', interval '30 min')
    where (o.tenant_id, o.id) in (
      select d.tenant_id, d.id from public.outbox d
      where d.send_after <= now() order by d.send_after limit p_limit for update skip locked)
    returning o.tenant_id, o.id, o.kind, o.payload, o.not_before;
end
$$;
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
alter function app.sweep(integer) owner to weir_system;
--> statement-breakpoint
alter function app.due_schedules(integer) owner to weir_system;
--> statement-breakpoint
revoke all on function app.sweep(integer), app.due_schedules(integer) from public;
--> statement-breakpoint
grant execute on function app.sweep(integer), app.due_schedules(integer) to weir_app;
--> statement-breakpoint
revoke create on schema app from weir_system;
