-- How a run moves. Each function is one transaction's work under the tenant's claim: it locks the run's row first, so two
-- deliveries of one run decide one after the other, and it writes only where the fence of the step still is the caller's.
-- Rows are locked FOR NO KEY UPDATE: FOR UPDATE would wait for transactions that only refer to the run, such as two steps
-- that both made a version before they complete, and would wait for ever.
-- They run as weir_engine: app.enter() checks the claim once a call, and inside the wall reads what was checked, not the
-- signature again with every statement. Nobody can become that role but by calling them.
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
-- Begins a call as weir_engine: the tenant of a good claim, for the wall of this transaction; without one, nobody's.
create function app.enter() returns text
language sql volatile
as $$ select nullif(set_config('app.tenant', coalesce(app.tenant_id(), ''), true), '') $$;
--> statement-breakpoint
-- Notes a wake-up of the run to be delivered after the commit. Returns {"id","runId","notBefore"}.
create function app.wake(p_tenant text, p_run text, p_not_before timestamptz) returns jsonb
language sql
as $$
  insert into public.outbox (tenant_id, kind, payload, not_before, send_after)
  values (p_tenant, 'run', jsonb_build_object('runId', p_run), p_not_before, coalesce(p_not_before, now()) + interval '60 s')
  returning jsonb_build_object('id', id, 'runId', p_run, 'notBefore', not_before)
$$;
--> statement-breakpoint
-- So many wake-ups of one run. More than a few deliveries of one run only wait for each other: each goes on to the next
-- ready step by itself.
create function app.wakes(p_tenant text, p_run text, p_count integer) returns jsonb
language sql
as $$
  select coalesce(jsonb_agg(app.wake(p_tenant, p_run, null)), '[]') from generate_series(1, least(p_count, 16))
$$;
--> statement-breakpoint
-- The wake-ups of a run of whose steps p_readied more can start now than when its deliveries were last counted. Those that
-- could start before have theirs, sixteen of them: more would only wait for each other. p_is_last: the delivery that asks
-- takes no other step, so that whatever is ready needs another one.
create function app.hand_on(p_tenant text, p_run text, p_readied integer, p_is_last boolean) returns jsonb
language plpgsql
as $$
declare
  ready integer;
  bound integer;
begin
  if p_readied < 1 and not p_is_last then
    return '[]';
  end if;
  -- Those that wait for a place with a connection may have been passed over, and have no message any more.
  select count(*), count(connection) into ready, bound from (
    select s.connection from public.steps s
    where s.tenant_id = p_tenant and s.run_id = p_run and s.state = 'ready' and coalesce(s.next_attempt_at <= clock_timestamp(), true)
    limit 64 + greatest(p_readied, 0)) s;
  return app.wakes(p_tenant, p_run, greatest(
    least(p_readied, 16 - (ready - bound - p_readied)),
    case when ready > 0 and (p_is_last or p_readied > 0) then 1 else 0 end));
end
$$;
--> statement-breakpoint
-- A run all of whose steps have ended with its start is written as it ended, in one piece: what app.claim_step and
-- app.complete_step would make of it. p_ended lists {"key","result"}, none before what it waits for.
create function app.write_ended(p_new public.runs, p_plan jsonb, p_ended jsonb) returns jsonb
language plpgsql
as $$
declare
  r public.runs;
  steps integer := jsonb_array_length(p_ended);
begin
  insert into public.runs (tenant_id, id, pipeline_id, version_id, state, trigger, priority, scheduled_for, backfill_id, parameters,
    started_by, traceparent, unfinished, events, sla_at, started_at, deadline_at, finished_at)
  values (p_new.tenant_id, p_new.id, p_new.pipeline_id, p_new.version_id, 'succeeded', p_new.trigger, p_new.priority,
    p_new.scheduled_for, p_new.backfill_id, p_new.parameters, p_new.started_by, p_new.traceparent, 0, 2 + 3 * steps, p_new.sla_at,
    clock_timestamp(), p_new.deadline_at, clock_timestamp())
  returning * into r;
  insert into public.steps (tenant_id, run_id, key, kind, position, needs, uses, run_when, state, attempt, fence, attempt_at,
    needs_succeeded, needs_skipped, rows_out, output, started_at, finished_at)
  with ended as materialized (
    select e.value->>'key' as key, e.value->'result' as result, e.value->'result'->>'state' as state
    from jsonb_array_elements(p_ended) e
  ), planned as materialized (
    select * from jsonb_to_recordset(p_plan) as s(key text, kind text, position integer, needs text[], uses text[], "when" text)
  ), counted as (
    select s.key, count(*) filter (where e.state = 'succeeded') as succeeded, count(*) filter (where e.state = 'skipped') as skipped
    from planned s cross join unnest(s.needs) need join ended e on e.key = need
    group by s.key)
  select r.tenant_id, r.id, s.key, s.kind, s.position, s.needs, s.uses, s."when", e.state, 1, 1, r.started_at,
    coalesce(c.succeeded, 0), coalesce(c.skipped, 0), coalesce((e.result->>'rowsOut')::bigint, 0), e.result->'output',
    r.started_at, r.finished_at
  from ended e
  join planned s on s.key = e.key
  left join counted c on c.key = e.key;
  insert into public.run_events (tenant_id, run_id, seq, type, step_key, actor, data)
  select r.tenant_id, r.id, 1, 'run.queued', null, app.actor(), jsonb_build_object('trigger', r.trigger)
  union all
  select r.tenant_id, r.id, 2, 'run.running', null, app.actor(), null
  union all
  select r.tenant_id, r.id, 3 * e.n + m.at, m.type, e.value->>'key', app.actor(), m.data
  from jsonb_array_elements(p_ended) with ordinality as e(value, n)
  cross join lateral (values
    (-1, 'step.ready', null),
    (0, 'step.running', '{"attempt": 1}'::jsonb),
    (1, 'step.' || (e.value->'result'->>'state'), nullif((e.value->'result') - '{state,cursor,output}'::text[], '{}'))) as m(at, type, data)
  where e.n > 1 or m.at >= 0
  union all
  select r.tenant_id, r.id, 2 + 3 * steps, 'run.succeeded', null, app.actor(), null;
  return jsonb_build_object('outcome', 'over', 'runState', r.state, 'wakes', app.after_run(r, r.state));
end
$$;
--> statement-breakpoint
-- Starts a run of the pipeline: the run, its steps, its first event and its wake-up. p_options, all optional:
-- {"parameters", "checkedFor" (the version that they were checked against), "version" (the current one), "traceparent",
-- "priority" (the definition's), "scheduledFor", "backfillId", "parent": {"runId","step","mapIndex"}}.
-- With "claim": {"delivery","leaseMs","kinds"} it is the caller who begins, if all that can start is of those kinds; and
-- with its "ended": {"version","steps": [{"key","result"}, …]} these steps, the only first one and some that follow from it,
-- have ended already where that version is the current one.
-- Returns {"runId","outboxId"}, or with "claim" what app.claim_step gives and for "ended" the "completion"; null when there
-- is no such pipeline; {"refused"}: 'version' when the current one is not the one that the parameters were checked for, 'parameters' when
-- nobody checked any and it wants some, 'quota' with "quota" when the plan has no more; see app.count_run. What it has made is in
-- app.made when somebody asked for it; see app.take_effect.
create function app.start_run(p_run text, p_pipeline text, p_trigger text, p_options jsonb)
returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.enter();
  version record;
  claim jsonb;
  completion jsonb;
  ended jsonb := p_options->'claim'->'ended'->'steps';
  counted jsonb;
  new public.runs;
begin
  perform app.guard('pipeline', p_pipeline);
  select v.id, v.version, p.name, v.plan, v.definition->'parameters' as parameters, (v.definition->>'priority')::smallint as priority,
    (v.definition->'sla'->>'withinMs')::bigint as within_ms,
    least((v.definition->>'timeoutMs')::bigint, t.max_run_ms) * interval '1 ms' as most_time,
    p.paused_at is null and v.concurrency is null and t.concurrency is null as is_free into version
  from public.pipelines p
  join public.pipeline_versions v on v.tenant_id = p.tenant_id and v.pipeline_id = p.id
    and v.version = coalesce((p_options->>'version')::integer, p.current_version)
  join public.tenants t on t.tenant_id = p.tenant_id and t.suspended_at is null and t.deletes_at is null
  where p.tenant_id = tenant and p.id = p_pipeline and p.deleted_at is null;
  if not found then
    return null;
  elsif version.version <> (p_options->>'checkedFor')::integer then
    return '{"refused": "version"}';
  elsif not p_options ? 'checkedFor' and exists (
    select from jsonb_each(version.parameters) d where d.value->'default' is null
  ) then
    return '{"refused": "parameters"}';
  end if;
  counted := app.count_run(tenant, p_pipeline, version.id, p_trigger);
  if counted ? 'refused' then
    return counted;
  end if;
  if p_trigger = 'manual' then
    perform set_config('app.made', p_run, true);
    perform app.note_run(tenant, 'run.start', p_run,
      jsonb_build_object('name', version.name, 'pipelineId', p_pipeline, 'version', version.version));
  end if;
  if (p_options->'claim'->'ended'->>'version')::integer is distinct from version.version then
    ended := null;
  elsif jsonb_array_length(ended) = jsonb_array_length(version.plan) and version.is_free and not p_options ? 'parent' then
    new.tenant_id := tenant;
    new.id := p_run;
    new.pipeline_id := p_pipeline;
    new.version_id := version.id;
    new.trigger := p_trigger;
    new.priority := coalesce((p_options->>'priority')::smallint, version.priority, 0);
    new.scheduled_for := (p_options->>'scheduledFor')::timestamptz;
    new.backfill_id := p_options->>'backfillId';
    new.parameters := coalesce(p_options->'parameters', '{}');
    new.started_by := app.actor();
    new.traceparent := p_options->>'traceparent';
    new.sla_at := app.first_look(version.within_ms, p_trigger, new.scheduled_for);
    new.deadline_at := clock_timestamp() + version.most_time;
    return jsonb_build_object('runId', p_run, 'claim', app.write_ended(new, version.plan, ended));
  end if;
  insert into public.runs (tenant_id, id, pipeline_id, version_id, state, trigger, priority, scheduled_for,
    parent_run_id, parent_step_key, parent_map_index, backfill_id, parameters, started_by, traceparent, unfinished, events, sla_at)
  values (tenant, p_run, p_pipeline, version.id, 'queued', p_trigger,
    coalesce((p_options->>'priority')::smallint, version.priority, 0), (p_options->>'scheduledFor')::timestamptz,
    p_options->'parent'->>'runId', p_options->'parent'->>'step', (p_options->'parent'->>'mapIndex')::integer,
    p_options->>'backfillId', coalesce(p_options->'parameters', '{}'), app.actor(), p_options->>'traceparent',
    jsonb_array_length(version.plan), 1, app.first_look(version.within_ms, p_trigger, (p_options->>'scheduledFor')::timestamptz));
  insert into public.steps (tenant_id, run_id, key, kind, position, connection, needs, uses, run_when, state)
  select tenant, p_run, s.key, s.kind, s.position, s.connection, s.needs, s.uses, s."when",
    case when cardinality(s.needs) = 0 or s."when" = 'always' then 'ready' else 'pending' end
  from jsonb_to_recordset(version.plan)
    as s(key text, kind text, position integer, connection text, needs text[], uses text[], "when" text);
  insert into public.run_events (tenant_id, run_id, seq, type, actor, data)
  values (tenant, p_run, 1, 'run.queued', app.actor(), jsonb_build_object('trigger', p_trigger));
  if p_options ? 'claim' and not exists (
    select from jsonb_to_recordset(version.plan) as s(kind text, needs text[], "when" text)
    where (cardinality(s.needs) = 0 or s."when" = 'always') and not p_options->'claim'->'kinds' ? s.kind
  ) then
    claim := app.claim_step(p_run, null, p_options->'claim'->>'delivery', false, (p_options->'claim'->>'leaseMs')::integer,
      p_options->'claim'->>'knows');
    if claim->'step'->>'key' = ended->0->>'key' then
      completion := app.complete_step(p_run, ended->0->>'key', 0, (claim->'step'->>'fence')::bigint, ended->0->'result',
        p_options->'claim'->>'delivery', (p_options->'claim'->>'leaseMs')::integer, ended - 0);
      if completion->'step' = 'null' then
        claim := claim - 'run';
      end if;
    end if;
    return jsonb_build_object('runId', p_run, 'claim', claim)
      || case when completion is null then '{}' else jsonb_build_object('completion', completion) end;
  end if;
  return jsonb_build_object('runId', p_run, 'outboxId', (app.wake(tenant, p_run, null)->>'id')::bigint);
end
$$;
--> statement-breakpoint
-- Whether a step may start with the connection: neither resting nor in use as often as it may be. The caller holds its row.
create function app.has_place(p_tenant text, p_connection public.connections) returns boolean
language sql stable
as $$
  select coalesce((p_connection).concurrency > (
    select count(*) from public.steps b
    where b.tenant_id = p_tenant and b.connection = (p_connection).name and b.state = 'running'), true)
$$;
--> statement-breakpoint
-- The next step of a locked run that can start now, claimed for a delivery: leased, fenced, counted. A step whose lease
-- has run out is taken over; so is one that an earlier attempt of the same delivery held (p_retry), at once. When the
-- run's time is up nothing waits any longer: the delivery ends each step that it is given. A step whose connection has no
-- place is passed over; one whose connection rests comes back when it has rested. A place is nothing but a running step,
-- so it cannot outlive one. Steps come before the items of maps, which would keep them waiting for thousands. p_left is a
-- connection whose place the caller has just given back and will give away: of the connections whose places are counted all
-- that may be needed are locked, by their names, so that no two wait for each other.
create function app.take_step(p_run public.runs, p_delivery text, p_retry boolean, p_lease_ms integer, p_left text)
returns public.steps
language plpgsql
as $$
declare
  c record;
  s public.steps;
  other public.connections;
  full_ones text[] := '{}';
  counted boolean := false;
begin
  loop
    select o.key, o.map_index, o.state, o.connection into c from public.steps o
    where o.tenant_id = p_run.tenant_id and o.run_id = p_run.id and o.state in ('ready', 'running', 'waiting')
      and (o.state = 'ready' and coalesce(o.next_attempt_at <= clock_timestamp(), true)
        or o.state = 'waiting' and o.next_attempt_at <= clock_timestamp()
        or o.state in ('ready', 'waiting') and p_run.deadline_at < clock_timestamp()
        or o.state = 'running' and (o.lease_until < clock_timestamp() or p_retry and o.claimed_by = p_delivery))
      and (o.state = 'running' or o.connection is null or o.connection <> all(full_ones))
    order by o.map_index > 0, o.position, o.map_index
    limit 1;
    if not found then
      return s;
    end if;
    if c.connection is not null and c.state <> 'running' then
      if not counted then
        perform from public.connections n
        where n.tenant_id = p_run.tenant_id and n.concurrency is not null and (n.name = p_left or n.name in (
          select o.connection from public.steps o
          where o.tenant_id = p_run.tenant_id and o.run_id = p_run.id and o.state = 'ready' and o.connection is not null))
        order by n.name
        for no key update;
        counted := true;
      end if;
      select * into other from public.connections n where n.tenant_id = p_run.tenant_id and n.name = c.connection;
      if found and p_run.deadline_at > clock_timestamp() then
        if other.rests_until > clock_timestamp() then
          update public.steps t set next_attempt_at = other.rests_until
          where t.tenant_id = p_run.tenant_id and t.run_id = p_run.id and t.key = c.key and t.map_index = c.map_index;
          perform app.wake(p_run.tenant_id, p_run.id, other.rests_until);
          continue;
        elsif not app.has_place(p_run.tenant_id, other) then
          full_ones := full_ones || c.connection;
          continue;
        end if;
      end if;
    end if;
    update public.steps t
    set state = 'running', fence = t.fence + 1, claimed_by = p_delivery, next_attempt_at = null, answer_key = null,
        attempt = t.attempt + case when t.state = 'running' or t.attempt_at is null then 1 else 0 end,
        attempt_at = case when t.state = 'running' or t.attempt_at is null then clock_timestamp() else t.attempt_at end,
        lease_until = clock_timestamp() + p_lease_ms * interval '1 ms', claimed_at = clock_timestamp(),
        started_at = coalesce(t.started_at, clock_timestamp())
    where t.tenant_id = p_run.tenant_id and t.run_id = p_run.id and t.key = c.key and t.map_index = c.map_index
    returning * into s;
    return s;
  end loop;
end
$$;
--> statement-breakpoint
-- A run that waits for a place with the connection and was passed over for the want of one; woken, or null.
create function app.wake_for_place(p_tenant text, p_connection text, p_run text) returns jsonb
language plpgsql
as $$
declare
  other public.connections;
  waiting text;
begin
  select * into other from public.connections n
  where n.tenant_id = p_tenant and n.name = p_connection and n.concurrency is not null
  for no key update;
  if not found or not app.has_place(p_tenant, other) then
    return null;
  end if;
  select o.run_id into waiting from public.steps o
  join public.runs q on q.tenant_id = o.tenant_id and q.id = o.run_id
  where o.tenant_id = p_tenant and o.connection = p_connection and o.state = 'ready' and o.run_id <> p_run
    and coalesce(o.next_attempt_at <= clock_timestamp(), true) and q.state in ('running', 'waiting')
  order by q.priority desc, o.run_id limit 1;
  return case when waiting is not null then app.wake(p_tenant, waiting, null) end;
end
$$;
--> statement-breakpoint
-- The row of the map that an item is of. Item 7 of step each is (each, 7), and its map (each, 0). Item 7 of the map parts
-- inside of item 3 of each is (each.parts, 300007), and what stands for its map is that item, (each, 3).
create function app.map_of(p_key text, p_map integer, out key text, out map integer)
language sql immutable parallel safe
as $$ select split_part(p_key, '.', 1), p_map / 100000 $$;
--> statement-breakpoint
-- What the Worker needs to know of a claimed step. "around" is the item that a map stands in: its value, and what the steps
-- before that map have given for it.
create function app.step_json(s public.steps) returns jsonb
language sql stable
as $$
  select jsonb_build_object('key', s.key, 'mapIndex', s.map_index, 'kind', s.kind, 'attempt', s.attempt, 'fence', s.fence,
    'cursor', s.cursor, 'rowsIn', s.rows_in, 'rowsOut', s.rows_out, 'rowsRejected', s.rows_rejected,
    'attemptAt', s.attempt_at, 'answer', s.answer,
    'outputs', case when s.uses is not null then (
      select jsonb_object_agg(d.key, jsonb_build_object('rowsIn', d.rows_in, 'rowsOut', d.rows_out,
        'rowsRejected', d.rows_rejected, 'state', d.state) || coalesce(d.output, '{}'))
      from public.steps d where d.tenant_id = s.tenant_id and d.run_id = s.run_id and d.key = any(s.uses) and d.map_index = 0) end,
    'around', case when s.map_index > 100000 then (
      select jsonb_build_object('item', a.cursor->'item', 'outputs', a.cursor->'outputs')
      from app.map_of(s.key, s.map_index) m
      join public.steps a on a.tenant_id = s.tenant_id and a.run_id = s.run_id and a.key = m.key and a.map_index = m.map) end)
$$;
--> statement-breakpoint
-- The run, other than p_run, that is next for a place: of the pipeline, or of the whole tenant when p_pipeline is null.
create function app.next_queued(p_tenant text, p_pipeline text, p_run text) returns text
language sql stable
as $$
  select q.id
  from public.pipelines p
  cross join lateral (
    select w.id, w.priority, w.version_id from public.runs w
    where w.tenant_id = p_tenant and w.pipeline_id = p.id and w.state = 'queued' and w.id <> p_run
    order by w.priority desc nulls last, w.id limit 1) q
  join public.pipeline_versions v on v.tenant_id = p_tenant and v.id = q.version_id
  where p.tenant_id = p_tenant and (p_pipeline is null or p.id = p_pipeline) and p.paused_at is null
    and (p_pipeline is not null and v.concurrency is not null or p_pipeline is null and coalesce(v.concurrency > (
      select count(*) from public.runs b
      where b.tenant_id = p_tenant and b.pipeline_id = p.id and b.finished_at is null
        and b.state in ('running', 'waiting', 'cancelling')), true))
  order by q.priority desc, q.id limit 1
$$;
--> statement-breakpoint
-- Tells what waits for the steps p_keys of a locked run that they have ended as p_state: readies it, skips it, and tells
-- on what was skipped. Returns what moved, in the order in which it did.
create function app.propagate(p_tenant text, p_run text, p_keys text[], p_state text, out keys text[], out states text[])
language plpgsql
as $$
declare
  ended text[] := p_keys;
  how text := p_state;
  moved_keys text[];
  moved_states text[];
begin
  keys := '{}';
  states := '{}';
  loop
    -- By place: nothing moves a pending step of a locked run but this. Joined by key, the planner would look at every step
    -- of the run for each that waits.
    with counted as materialized (
      select w.ctid as at, w.run_when, cardinality(w.needs) as needs,
        w.needs_succeeded + case when how = 'succeeded' then h.hits else 0 end as succeeded,
        w.needs_failed + case when how in ('failed', 'cancelled') then h.hits else 0 end as failed,
        w.needs_skipped + case when how = 'skipped' then h.hits else 0 end as skipped
      from public.steps w
      cross join lateral (select count(*)::integer as hits from unnest(w.needs) need where need = any(ended)) h
      where w.tenant_id = p_tenant and w.run_id = p_run and w.state = 'pending' and w.needs && ended
    ), moved as (
      update public.steps t
      set needs_succeeded = c.succeeded, needs_failed = c.failed, needs_skipped = c.skipped,
        state = case d.verdict when 'run' then 'ready' when 'skip' then 'skipped' else 'pending' end,
        finished_at = case d.verdict when 'skip' then clock_timestamp() end
      from counted c
      cross join lateral (
        select app.decide(c.run_when, c.needs, c.succeeded, c.failed, c.skipped) as verdict) d
      where t.ctid = c.at
      returning t.key, t.state, t.position)
    select array_agg(m.key order by m.position), array_agg(m.state order by m.position)
    into moved_keys, moved_states
    from moved m where m.state <> 'pending';
    exit when moved_keys is null;
    keys := keys || moved_keys;
    states := states || moved_states;
    ended := array(select k from unnest(moved_keys, moved_states) as m(k, s) where s = 'skipped');
    how := 'skipped';
    exit when ended = '{}';
  end loop;
end
$$;
--> statement-breakpoint
-- Writes events of a locked run, numbered on from p_seq.
create function app.tell(p_tenant text, p_run text, p_seq integer, p_types text[], p_keys text[], p_maps integer[], p_datas jsonb[])
returns void
language sql
as $$
  insert into public.run_events (tenant_id, run_id, seq, type, step_key, map_index, actor, data)
  select p_tenant, p_run, p_seq + e.n, e.type, e.key, e.map, app.actor(), e.data
  from unnest(p_types, p_keys, p_maps, p_datas) with ordinality as e(type, key, map, data, n)
$$;
--> statement-breakpoint
-- Ends a locked run whose steps are all finished, says so, and wakes who waits for its place and who waits for it. Where
-- places are counted, runs of one pipeline (or tenant) end one after the other and never while another counts: else a run
-- could find no place at the moment when its place became free, and nobody would wake it.
-- The events p_types… are written with its own. Returns {"runState","wakes"}.
create function app.finish_run(r public.runs, p_types text[], p_keys text[], p_maps integer[], p_datas jsonb[]) returns jsonb
language plpgsql
as $$
declare
  outcome text;
  waiting text;
  places record;
  wakes jsonb := '[]';
begin
  select case
      when r.state = 'cancelling' then 'cancelled'
      when r.state in ('succeeded', 'failed') then r.state -- as somebody marked it
      when bool_or(s.state = 'failed') then 'failed'
      when bool_or(s.warned) then 'succeeded_with_warnings'
      else 'succeeded' end
  into outcome
  from public.steps s where s.tenant_id = r.tenant_id and s.run_id = r.id and s.map_index = 0;
  update public.steps t
  set state = 'cancelled', finished_at = clock_timestamp(), fence = t.fence + 1, lease_until = null, claimed_by = null
  where t.tenant_id = r.tenant_id and t.run_id = r.id and t.state in ('ready', 'running', 'waiting');
  select t.concurrency is not null as of_tenant, exists (
      select from public.pipeline_versions v
      where v.tenant_id = r.tenant_id and v.pipeline_id = r.pipeline_id and v.concurrency is not null) as of_pipeline
  into places
  from public.tenants t where t.tenant_id = r.tenant_id;
  if places.of_tenant then
    perform from public.tenants where tenant_id = r.tenant_id for no key update;
  end if;
  if places.of_pipeline then
    perform from public.pipelines where tenant_id = r.tenant_id and id = r.pipeline_id for no key update;
  end if;
  perform app.tell(r.tenant_id, r.id, r.events, p_types || ('run.' || outcome), p_keys || null::text,
    p_maps || null::integer, p_datas || null::jsonb);
  if outcome in ('failed', 'cancelled') or r.state = 'succeeded' then
    perform app.drop_stages(r, array(
      select key from public.steps
      where tenant_id = r.tenant_id and run_id = r.id and kind = 'load' and state in ('failed', 'cancelled')));
  end if;
  update public.runs
  set state = outcome, finished_at = clock_timestamp(), unfinished = 0, events = r.events + cardinality(p_types) + 1,
    rows_moved = r.rows_moved, compute_ms = r.compute_ms
  where tenant_id = r.tenant_id and id = r.id;
  perform app.count_work(r);
  if places.of_pipeline then
    waiting := app.next_queued(r.tenant_id, r.pipeline_id, r.id);
    if waiting is not null then
      wakes := wakes || app.wake(r.tenant_id, waiting, null);
    end if;
  end if;
  if places.of_tenant then
    waiting := app.next_queued(r.tenant_id, null, r.id);
    if waiting is not null then
      wakes := wakes || app.wake(r.tenant_id, waiting, null);
    end if;
  end if;
  if r.parent_run_id is not null then
    wakes := wakes || coalesce(app.answer(r.tenant_id, r.parent_run_id, r.parent_step_key, r.parent_map_index, r.id,
      jsonb_build_object('runId', r.id, 'state', outcome)), '[]');
  end if;
  return jsonb_build_object('runState', outcome, 'wakes', wakes || app.after_run(r, outcome));
end
$$;
--> statement-breakpoint
-- Gives a waiting step what it waits for: once, to whoever names the key that it was told. Returns its wake-up, or null.
-- The run's row is not locked: whoever holds it may wait for one of the runs that answer.
create function app.answer(p_tenant text, p_run text, p_step text, p_map integer, p_key text, p_answer jsonb) returns jsonb
language plpgsql
as $$
begin
  update public.steps t set state = 'ready', answer = p_answer, answer_key = null, next_attempt_at = null
  where t.tenant_id = p_tenant and t.run_id = p_run and t.key = p_step and t.map_index = coalesce(p_map, 0)
    and t.state = 'waiting' and t.answer_key = p_key;
  return case when found then app.wake(p_tenant, p_run, null) end;
end
$$;
--> statement-breakpoint
create function app.answer_step(p_run text, p_step text, p_map integer, p_key text, p_answer jsonb) returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.enter();
  wake jsonb := app.answer(tenant, p_run, p_step, p_map, p_key, p_answer);
begin
  perform app.guard('run', p_run);
  if wake is not null and p_answer ? 'approval' then
    perform app.note_run(tenant, case when (p_answer->'approval'->>'approved')::boolean then 'run.approve' else 'run.reject' end,
      p_run, jsonb_build_object('step', p_step, 'item', nullif(p_map % 100000, 0), 'outer', nullif(p_map / 100000, 0), 'comment', p_answer->'approval'->>'comment'));
  end if;
  return wake;
end
$$;
--> statement-breakpoint
-- A delivery asks for work on a run. Takes its message off the outbox, moves a queued run to running when there is room,
-- and claims a step. Returns {"outcome"}: 'over' (no such run, or finished), 'queued' (no room yet), 'idle' (nothing can
-- start now), or 'claimed' with "run", "step" and "wakes" (messages to publish now).
create function app.claim_step(p_run text, p_outbox bigint, p_delivery text, p_retry boolean, p_lease_ms integer, p_known text default null)
returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.enter();
  r public.runs;
  s public.steps;
  version record;
  types text[] := '{}';
  room integer;
  asked_at timestamptz;
  later timestamptz;
  wakes jsonb := '[]';
  again boolean;
  next_run text;
  stopped integer;
begin
  perform app.guard('run', p_run);
  delete from public.outbox where tenant_id = tenant and id = p_outbox;
  -- A message that comes again must not leave another one behind, or they would double with every wait.
  again := p_outbox is not null and not found;
  select * into r from public.runs where tenant_id = tenant and id = p_run for no key update;
  if not found or r.finished_at is not null then
    return jsonb_build_object('outcome', 'over');
  end if;

  if r.state = 'cancelling' then
    with cancelled as (
      update public.steps set state = 'cancelled', finished_at = clock_timestamp(), lease_until = null, claimed_by = null
      where tenant_id = tenant and run_id = p_run and state = 'running'
        and (lease_until < clock_timestamp() or p_retry and claimed_by = p_delivery)
      returning map_index)
    select count(*) filter (where map_index = 0) into stopped from cancelled;
    if r.unfinished = stopped then
      return jsonb_build_object('outcome', 'over') || app.finish_run(r, '{}', '{}', '{}', '{}');
    end if;
    update public.runs set unfinished = r.unfinished - stopped where tenant_id = tenant and id = p_run;
    return jsonb_build_object('outcome', 'over');
  end if;

  select v.definition, v.plan, v.concurrency, v.version, p.paused_at, t.concurrency as tenant_concurrency, t.max_run_ms into version
  from public.pipeline_versions v
  join public.pipelines p on p.tenant_id = v.tenant_id and p.id = v.pipeline_id
  join public.tenants t on t.tenant_id = v.tenant_id
  where v.tenant_id = tenant and v.id = r.version_id;

  if r.state = 'queued' then
    if version.paused_at is not null then
      return jsonb_build_object('outcome', 'queued');
    end if;
    if version.tenant_concurrency is not null then
      perform from public.tenants where tenant_id = tenant for no key update;
      -- A run that waits for another one gives its place to it.
      select count(*) into room from public.runs
      where tenant_id = tenant and finished_at is null and state in ('running', 'cancelling');
      if room >= version.tenant_concurrency then
        return jsonb_build_object('outcome', 'queued');
      end if;
      if room + 1 < version.tenant_concurrency then
        next_run := app.next_queued(tenant, null, p_run);
      end if;
    end if;
    if version.concurrency is not null then
      perform from public.pipelines where tenant_id = tenant and id = r.pipeline_id for no key update;
      select count(*) into room from public.runs
      where tenant_id = tenant and pipeline_id = r.pipeline_id and finished_at is null and state in ('running', 'waiting', 'cancelling');
      if room >= version.concurrency then
        return jsonb_build_object('outcome', 'queued');
      end if;
      -- Two runs that ended at once have both woken the same one: whoever starts looks whether there is room for another.
      if room + 1 < version.concurrency then
        next_run := coalesce(app.next_queued(tenant, r.pipeline_id, p_run), next_run);
      end if;
    end if;
    r.state := 'running';
    r.started_at := clock_timestamp();
    r.deadline_at := r.started_at + least((version.definition->>'timeoutMs')::bigint, version.max_run_ms) * interval '1 ms';
    types := types || 'run.running'::text;
    if r.unfinished > 1 then
      wakes := wakes || app.wakes(tenant, p_run, (
        select count(*)::integer - 1 from public.steps
        where tenant_id = tenant and run_id = p_run and state = 'ready'));
    end if;
    if next_run is not null then
      wakes := wakes || app.wake(tenant, next_run, null);
    end if;
  end if;

  asked_at := clock_timestamp();
  s := app.take_step(r, p_delivery, p_retry, p_lease_ms, null);
  if s.key is null then
    if p_outbox is not null and not again then
      -- What is due and waits for a place is woken by who gives it one: a message now would only ask for the next.
      select min(next_attempt_at) into later from public.steps
      where tenant_id = tenant and run_id = p_run and state in ('ready', 'waiting') and next_attempt_at > asked_at;
      if later is not null then
        wakes := wakes || app.wake(tenant, p_run, later);
      end if;
    end if;
  else
    types := types || 'step.running'::text;
    r.state := 'running';
    if s.connection is not null then
      wakes := wakes || coalesce(app.wake_for_place(tenant, s.connection, p_run), '[]');
    end if;
  end if;
  if cardinality(types) > 0 then
    if s.key is null then
      perform app.tell(tenant, p_run, r.events, types, null, null, null);
    else
      perform app.tell(tenant, p_run, r.events, types,
        array_fill(null::text, array[cardinality(types) - 1]) || s.key,
        array_fill(null::integer, array[cardinality(types) - 1]) || nullif(s.map_index, 0),
        array_fill(null::jsonb, array[cardinality(types) - 1]) || jsonb_build_object('attempt', s.attempt));
    end if;
    update public.runs set state = r.state, started_at = r.started_at, deadline_at = r.deadline_at,
      events = r.events + cardinality(types)
    where tenant_id = tenant and id = p_run;
  end if;
  return jsonb_build_object(
    'outcome', case when s.key is null then 'idle' else 'claimed' end,
    'step', case when s.key is not null then app.step_json(s) end,
    'run', case when s.key is not null then jsonb_build_object('id', r.id, 'pipelineId', r.pipeline_id, 'versionId', r.version_id,
      'parameters', r.parameters, 'traceparent', r.traceparent, 'deadlineAt', r.deadline_at, 'scheduledFor', r.scheduled_for,
      'trigger', r.trigger) || case when r.version_id = p_known then '{}'
        else jsonb_build_object('version', version.version, 'definition', version.definition, 'plan', version.plan) end end,
    'wakes', wakes);
end
$$;
--> statement-breakpoint
-- Ends with the step p_key of a locked run those that follow from it and were worked out before anybody claimed them: p_ahead
-- lists {"key","result"}, each succeeded or skipped, asking for nothing else, and after all that it waits for. Each must be
-- pending and wait for nothing but these; else they are forgotten, and each is worked on in its turn. Returns what ended.
create function app.end_ahead(p_tenant text, p_run text, p_key text, p_state text, p_ahead jsonb,
  out keys text[], out states text[], out results jsonb[])
language plpgsql
as $$
begin
  select array_agg(e.value->>'key' order by e.n), array_agg(e.value->'result'->>'state' order by e.n), array_agg(e.value->'result' order by e.n)
  into keys, states, results
  from jsonb_array_elements(p_ahead) with ordinality as e(value, n);
  if p_state not in ('succeeded', 'skipped') or keys is null then
    keys := '{}';
    return;
  end if;
  with ended as materialized (
    select p_key as key, p_state as state, null::jsonb as result
    union all
    select * from unnest(keys, states, results)
  ), own as materialized (
    -- Each by its key, whatever the planner thinks of how many there are.
    select w.*, e.state as ended_as, e.result
    from ended e
    cross join lateral (
      select t.ctid as at, t.key, t.run_when, t.needs from public.steps t
      where t.tenant_id = p_tenant and t.run_id = p_run and t.key = e.key and t.map_index = 0 and t.state = 'pending'
        and t.connection is null
      limit 1) w
    where e.result is not null
  ), counted as (
    select o.key, count(*) filter (where e.state = 'succeeded')::integer as succeeded,
      count(*) filter (where e.state = 'skipped')::integer as skipped
    from own o cross join unnest(o.needs) need join ended e on e.key = need
    group by o.key
  ), good as materialized (
    select o.at, o.ended_as, o.result, c.succeeded, c.skipped
    from own o join counted c on c.key = o.key
    where app.decide(o.run_when, cardinality(o.needs), c.succeeded, 0, c.skipped) = 'run' and c.succeeded + c.skipped = cardinality(o.needs))
  update public.steps t
  set state = g.ended_as, needs_succeeded = g.succeeded, needs_skipped = g.skipped, attempt = 1, fence = t.fence + 1,
    attempt_at = clock_timestamp(), started_at = clock_timestamp(), claimed_at = clock_timestamp(), finished_at = clock_timestamp(),
    output = coalesce(g.result->'output', t.output)
  from good g
  where t.ctid = g.at and (select count(*) from good) = cardinality(keys);
  if not found then
    keys := '{}';
  end if;
end
$$;
--> statement-breakpoint
-- Stores how a step ended, readies or skips what waited for it, and claims the next step for the same delivery. It is the
-- last statement of the transaction that wrote what the step made: WE001 and WE002 take that back too.
-- p_result: {"state": succeeded|failed|skipped|cancelled|waiting|ready, "delayMs"?, "rowsIn"?, "rowsOut"?, "rowsRejected"?,
-- "warned"?, "error"?: {"code","message"}, "cursor"?, "output"?}. waiting and ready come back after delayMs; waiting
-- without it when it is answered under "answerKey", or when all items of "map": {"total","atOnce","ended"? (so many have
-- already)} have ended, see app.begin_items. ready with "yielded" is a continuation and no new attempt. Without rowsOut the rows of the version that the step made are its rows
-- out; with "rejects" what is missing from rowsIn is rejected. p_ahead: what else has ended with it, see app.end_ahead.
-- A delivery that has used up what it may claims nothing more: p_lease_ms is null, and what could start now is woken.
-- Returns {"runState", "step"? (the claimed one), "wakes"}.
create function app.complete_step(p_run text, p_key text, p_map integer, p_fence bigint, p_result jsonb, p_delivery text, p_lease_ms integer,
  p_ahead jsonb default null)
returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.enter();
  r public.runs;
  s public.steps;
  done public.steps;
  ahead record;
  same text[] := '{}';
  others text[] := '{}';
  moved record;
  moved_keys text[];
  moved_states text[];
  next_state text := p_result->>'state';
  over boolean := next_state in ('succeeded', 'failed', 'skipped', 'cancelled');
  yielded boolean := p_result ? 'yielded';
  until timestamptz := case when p_result ? 'delayMs' then clock_timestamp() + (p_result->>'delayMs')::bigint * interval '1 ms' end;
  had_ended integer := coalesce((p_result->'map'->>'ended')::integer, 0);
  made bigint;
  finished integer := 0;
  readied integer := 0;
  types text[];
  keys text[] := array[p_key];
  maps integer[] := array[nullif(p_map, 0)];
  datas jsonb[] := array[nullif(p_result - '{state,cursor,yielded,rejects,output,answerKey}'::text[], '{}')];
  wakes jsonb := '[]';
  ended jsonb;
begin
  perform app.guard('run', p_run);
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
    attempt_at = case when next_state = 'ready' and not yielded then null else t.attempt_at end,
    next_attempt_at = case when over then null when p_result ? 'answerKey' or p_result ? 'map' then until else coalesce(until, clock_timestamp()) end,
    finished_at = case when over then clock_timestamp() end,
    rows_in = coalesce((p_result->>'rowsIn')::bigint, t.rows_in),
    rows_out = coalesce((p_result->>'rowsOut')::bigint, made, t.rows_out),
    rows_rejected = coalesce((p_result->>'rowsRejected')::bigint,
      case when p_result ? 'rejects' then (p_result->>'rowsIn')::bigint - made end, t.rows_rejected),
    warned = t.warned or coalesce((p_result->>'warned')::boolean, false),
    error = case when next_state = 'succeeded' then null else coalesce(p_result->'error', t.error) end,
    cursor = case when p_result ? 'cursor' then nullif(p_result->'cursor', 'null') else t.cursor end,
    output = coalesce(p_result->'output', t.output),
    answer = case when yielded then t.answer end,
    answer_key = p_result->>'answerKey',
    map_total = coalesce((p_result->'map'->>'total')::integer, t.map_total),
    map_open = coalesce((p_result->'map'->>'total')::integer - had_ended, t.map_open),
    map_begun = coalesce(least((p_result->'map'->>'total')::integer, had_ended + (p_result->'map'->>'atOnce')::integer), t.map_begun)
  where t.tenant_id = tenant and t.run_id = p_run and t.key = p_key and t.map_index = p_map and t.fence = p_fence and t.state = 'running'
  returning * into done;
  if not found then
    raise exception 'the step is no longer this delivery''s' using errcode = 'WE001';
  end if;
  -- Counted here, where the fence lets each of them end once. A check passes rows on and moves none.
  r.compute_ms := r.compute_ms + greatest(extract(epoch from clock_timestamp() - done.claimed_at) * 1000, 0)::bigint;
  r.rows_moved := r.rows_moved + case when next_state = 'succeeded' and done.kind <> 'check' then done.rows_out else 0 end;
  types := array['step.' || case when yielded then 'continued' when next_state = 'ready' then 'retrying' else next_state end];

  if p_result ? 'map' then
    r.items := app.more_items(r.items, done.map_open);
    readied := app.begin_items(done, had_ended + 1, done.map_begun);
    if until is not null then
      wakes := wakes || app.wake(tenant, p_run, until);
    end if;
  elsif not over then
    if done.next_attempt_at is not null then
      wakes := wakes || app.wake(tenant, p_run, case when yielded then null else done.next_attempt_at end);
    end if;
  elsif p_map > 0 then
    if done.map_open > 0 then
      perform app.cancel_items(done);
    end if;
    readied := app.end_item(tenant, p_run, p_key, p_map);
  else
    finished := 1;
    if done.map_total is not null then
      perform app.cancel_items(done);
    end if;
    if p_ahead is not null and r.state <> 'cancelling' then
      ahead := app.end_ahead(tenant, p_run, p_key, next_state, p_ahead);
      if cardinality(ahead.keys) > 0 then
        finished := 1 + cardinality(ahead.keys);
        -- Each of them has become ready, was claimed and has ended.
        keys := keys || array(select k from unnest(ahead.keys) with ordinality e(k, n), generate_series(1, 3) m order by e.n, m);
        types := types || array(
          select (array['step.ready', 'step.running', 'step.' || state])[m]
          from unnest(ahead.states) with ordinality e(state, n), generate_series(1, 3) m order by e.n, m);
        datas := datas || array(
          select (array[null, '{"attempt": 1}'::jsonb, nullif((result - '{state,cursor,output}'::text[]), '{}')])[m]
          from unnest(ahead.results) with ordinality e(result, n), generate_series(1, 3) m order by e.n, m);
        maps := maps || array_fill(null::integer, array[3 * cardinality(ahead.keys)]);
        same := array(select k from unnest(ahead.keys, ahead.states) e(k, state) where state = next_state);
        others := array(select k from unnest(ahead.keys, ahead.states) e(k, state) where state <> next_state);
      end if;
    end if;
    if r.state <> 'cancelling' and r.unfinished > finished then
      moved := app.propagate(tenant, p_run, p_key || same, next_state);
      moved_keys := moved.keys;
      moved_states := moved.states;
      if cardinality(others) > 0 then
        moved := app.propagate(tenant, p_run, others, case next_state when 'succeeded' then 'skipped' else 'succeeded' end);
        moved_keys := moved_keys || moved.keys;
        moved_states := moved_states || moved.states;
      end if;
      if cardinality(moved_keys) > 0 then
        finished := finished + (select count(*) from unnest(moved_states) m where m = 'skipped');
        readied := (select count(*) from unnest(moved_states) m where m = 'ready');
        keys := keys || moved_keys;
        types := types || array(select 'step.' || m from unnest(moved_states) m);
        maps := maps || array_fill(null::integer, array[cardinality(moved_keys)]);
        datas := datas || array_fill(null::jsonb, array[cardinality(moved_keys)]);
      end if;
    end if;
  end if;

  if r.unfinished = finished then
    -- After the tenant and the pipeline, in the order in which a claim locks them.
    ended := app.finish_run(r, types, keys, maps, datas);
    if done.connection is not null then
      wakes := wakes || coalesce(app.wake_for_place(tenant, done.connection, p_run), '[]');
    end if;
    return ended || jsonb_build_object('wakes', wakes || (ended->'wakes'));
  end if;

  if r.state <> 'cancelling' and not yielded then
    if p_lease_ms is not null then
      s := app.take_step(r, p_delivery, false, p_lease_ms, done.connection);
    end if;
    if s.key is not null then
      readied := readied - 1;
      types := types || 'step.running'::text;
      keys := keys || s.key;
      maps := maps || nullif(s.map_index, 0);
      datas := datas || jsonb_build_object('attempt', s.attempt);
    elsif next_state = 'waiting' and not exists (
      select from public.steps t
      where t.tenant_id = tenant and t.run_id = p_run and t.state in ('ready', 'running', 'waiting') and t.state <> 'waiting'
    ) then
      r.state := 'waiting';
      types := types || 'run.waiting'::text;
      keys := keys || null::text;
      maps := maps || null::integer;
      datas := datas || null::jsonb;
    end if;
    wakes := wakes || app.hand_on(tenant, p_run, readied, p_lease_ms is null);
  end if;
  if done.connection is not null and done.connection is distinct from s.connection then
    wakes := wakes || coalesce(app.wake_for_place(tenant, done.connection, p_run), '[]');
  end if;
  perform app.tell(tenant, p_run, r.events, types, keys, maps, datas);
  update public.runs set unfinished = r.unfinished - finished, events = r.events + cardinality(types), state = r.state,
    rows_moved = r.rows_moved, compute_ms = r.compute_ms, items = r.items
  where tenant_id = tenant and id = p_run;
  return jsonb_build_object('runState', r.state, 'step', case when s.key is not null then app.step_json(s) end, 'wakes', wakes);
end
$$;
--> statement-breakpoint
-- Commits a step's place together with the rows that the same transaction wrote; refuses the whole transaction when the
-- step has gone to somebody else (WE001) or the run is being cancelled (WE002).
create function app.checkpoint(p_run text, p_key text, p_map integer, p_fence bigint, p_cursor jsonb,
  p_rows_in bigint, p_rows_out bigint, p_lease_ms integer) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.enter();
begin
  perform app.guard('run', p_run);
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
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.enter();
begin
  perform app.guard('run', p_run);
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
create function app.stop_run(tenant text, p_run text) returns jsonb
language plpgsql
as $$
declare
  r public.runs;
  child text;
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
  -- Before our own steps: a child that ends at this moment wants the step that waits for it. One that nobody waits for
  -- goes on.
  for child in
    select c.id from public.runs c
    join public.steps w on w.tenant_id = tenant and w.run_id = p_run and w.key = c.parent_step_key
      and w.map_index = coalesce(c.parent_map_index, 0) and w.finished_at is null
    where c.tenant_id = tenant and c.parent_run_id = p_run and c.finished_at is null order by c.id
  loop
    perform app.stop_run(tenant, child);
  end loop;
  with cancelled as (
    update public.steps set state = 'cancelled', finished_at = clock_timestamp(), next_attempt_at = null, answer_key = null
    where tenant_id = tenant and run_id = p_run and state in ('pending', 'ready', 'waiting')
    returning map_index)
  select count(*) filter (where map_index = 0) into stopped from cancelled;
  r.state := 'cancelling';
  if r.unfinished = stopped and not exists (
    select from public.steps where tenant_id = tenant and run_id = p_run and state = 'running'
  ) then
    return app.finish_run(r, array['run.cancelling'], array[null::text], array[null::integer], array[null::jsonb]);
  end if;
  perform app.tell(tenant, p_run, r.events, array['run.cancelling'], null, null, null);
  update public.runs set state = 'cancelling', unfinished = r.unfinished - stopped, events = r.events + 1
  where tenant_id = tenant and id = p_run;
  return jsonb_build_object('runState', 'cancelling');
end
$$;
--> statement-breakpoint
-- Asks a run, and those that it waits for, to stop: what has not begun is cancelled now, what is under way by its own
-- delivery. Returns {"runState"}, with "over" when it had finished already, null when there is no such run.
create function app.cancel_run(p_run text) returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.enter();
  stopped jsonb := app.stop_run(tenant, p_run);
begin
  perform app.guard('run', p_run);
  if not stopped ? 'over' then
    perform app.note_run(tenant, 'run.cancel', p_run, '{}');
  end if;
  return stopped;
end
$$;
--> statement-breakpoint
-- The tick's look across tenants: wakes runs whose step lost its holder, whose time is up, or which may have missed the
-- moment when a place became free, and hands out every message
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
    union
    (select distinct on (w.tenant_id, coalesce(c.name, w.run_id)) w.tenant_id, w.run_id
    from public.steps w
    join public.runs q on q.tenant_id = w.tenant_id and q.id = w.run_id and q.state in ('running', 'waiting')
    left join public.connections c on c.tenant_id = w.tenant_id and c.name = w.connection and c.concurrency is not null
    where w.connection is not null and w.state = 'ready'
      and coalesce(w.next_attempt_at, w.started_at, q.started_at) < now() - interval '60 s'
    order by w.tenant_id, coalesce(c.name, w.run_id), q.priority desc, w.run_id)
    union
    (select distinct on (q.tenant_id, q.pipeline_id) q.tenant_id, q.id
    from public.runs q
    join public.pipelines p on p.tenant_id = q.tenant_id and p.id = q.pipeline_id and p.paused_at is null
    where q.state = 'queued' and q.created_at < now() - interval '60 s'
    order by q.tenant_id, q.pipeline_id, q.priority desc nulls last, q.id)
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
do $$
declare
  f regprocedure;
begin
  foreach f in array array[
    'app.start_run(text,text,text,jsonb)', 'app.claim_step(text,bigint,text,boolean,integer,text)',
    'app.complete_step(text,text,integer,bigint,jsonb,text,integer,jsonb)', 'app.answer_step(text,text,integer,text,jsonb)',
    'app.checkpoint(text,text,integer,bigint,jsonb,bigint,bigint,integer)',
    'app.renew_lease(text,text,integer,bigint,integer)', 'app.cancel_run(text)']::regprocedure[]
  loop
    execute format('alter function %s owner to weir_engine', f);
    execute format('revoke all on function %s from public', f);
    execute format('grant execute on function %s to weir_app, weir_engine', f);
  end loop;
end
$$;
--> statement-breakpoint
alter function app.sweep(integer) owner to weir_system;
--> statement-breakpoint
revoke all on function app.sweep(integer) from public;
--> statement-breakpoint
grant execute on function app.sweep(integer) to weir_app;
