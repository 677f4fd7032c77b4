-- The items of maps. A map is a step, or inside another map an item of that one, whose row waits while its items are worked
-- on; each of them is a row of its own, with its lease, its attempts and its events. See app.map_of for their names.

grant create on schema app to weir_engine;
--> statement-breakpoint
-- How many items its maps have had, those of maps inside maps among them.
alter table public.runs add column items integer not null default 0;
--> statement-breakpoint
-- So many items are too many for one run; the transaction that would begin them is refused as a whole.
create function app.more_items(p_items integer, p_more integer) returns integer
language plpgsql
as $$
begin
  if p_items + p_more > 100000 then
    raise exception 'the run would have too many items' using errcode = 'WE006';
  end if;
  return p_items + p_more;
end
$$;
--> statement-breakpoint
-- Makes the items p_from to p_to of a map ready: what they are is in its cursor's "items", or for a map inside another one
-- in "inner", beside the name of that "map". Returns how many there were to begin.
create function app.begin_items(p_map public.steps, p_from integer, p_to integer) returns integer
language plpgsql
as $$
declare
  is_inner boolean := p_map.map_index > 0;
  place jsonb := case when is_inner then p_map.cursor->'inner' else p_map.cursor end;
  items jsonb := place->'items';
  begun integer;
begin
  insert into public.steps (tenant_id, run_id, key, map_index, kind, position, needs, uses, run_when, state, cursor)
  select p_map.tenant_id, p_map.run_id, p_map.key || case when is_inner then '.' || (place->>'map') else '' end,
    p_map.map_index * 100000 + i, 'item', p_map.position, '{}', p_map.uses, 'always', 'ready', jsonb_build_object('item', items->(i - 1))
  from generate_series(p_from, p_to) i
  on conflict do nothing;
  get diagnostics begun = row_count;
  return begun;
end
$$;
--> statement-breakpoint
-- One item of a map has ended: the next one begins, or the map has an answer. Returns how many steps are ready by it.
create function app.end_item(p_tenant text, p_run text, p_key text, p_item integer) returns integer
language plpgsql
as $$
declare
  place record := app.map_of(p_key, p_item);
  map public.steps;
begin
  -- A map that looks after its items at this moment finds out by itself.
  update public.steps t
  set map_open = t.map_open - 1, map_begun = least(t.map_begun + 1, t.map_total),
    state = case when t.map_open = 1 and t.state = 'waiting' then 'ready' else t.state end,
    answer = case when t.map_open = 1 and t.state = 'waiting' then '{"items": "ended"}'::jsonb else t.answer end,
    next_attempt_at = case when t.map_open > 1 or t.state <> 'waiting' then t.next_attempt_at end
  where t.tenant_id = p_tenant and t.run_id = p_run and t.key = place.key and t.map_index = place.map and t.map_open > 0
    and t.state in ('waiting', 'ready', 'running')
  returning * into map;
  if not found then
    return 0;
  elsif map.map_open = 0 then
    return (map.state = 'ready')::integer;
  end if;
  return app.begin_items(map, map.map_begun, map.map_begun);
end
$$;
--> statement-breakpoint
-- Cancels what has not ended of a map's items: of a step those of the maps inside it too.
create function app.cancel_items(p_map public.steps) returns void
language sql
as $$
  update public.steps t
  set state = 'cancelled', finished_at = clock_timestamp(), fence = t.fence + 1, lease_until = null, claimed_by = null,
    next_attempt_at = null, answer_key = null
  where t.tenant_id = p_map.tenant_id and t.run_id = p_map.run_id and t.position = p_map.position and t.state in ('ready', 'running', 'waiting')
    and case when p_map.map_index = 0 then t.map_index > 0
      else t.map_index between p_map.map_index * 100000 and p_map.map_index * 100000 + 99999 end
$$;
--> statement-breakpoint
-- Writes the first items of a map that were worked out before anybody claimed them, as they ended: p_ended are their results,
-- each succeeded and asking for nothing else. It stands before the statement that completes the map, under its fence. p_inner
-- is the name of a map inside of an item.
create function app.end_items(p_run text, p_key text, p_map integer, p_inner text, p_fence bigint, p_ended jsonb) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.enter();
  ended integer := jsonb_array_length(p_ended);
  items_key text := concat_ws('.', p_key, p_inner);
  r public.runs;
  map public.steps;
begin
  perform app.guard('run', p_run);
  select * into r from public.runs where tenant_id = tenant and id = p_run for no key update;
  update public.steps t set map_total = ended, map_open = 0, map_begun = ended
  where t.tenant_id = tenant and t.run_id = p_run and t.key = p_key and t.map_index = p_map and t.fence = p_fence and t.state = 'running'
  returning * into map;
  if not found then
    raise exception 'the step is no longer this delivery''s' using errcode = 'WE001';
  elsif r.state = 'cancelling' then
    raise exception 'the run is being cancelled' using errcode = 'WE002';
  end if;
  insert into public.steps (tenant_id, run_id, key, map_index, kind, position, needs, uses, run_when, state, attempt, fence,
    output, attempt_at, claimed_at, started_at, finished_at)
  select tenant, p_run, items_key, p_map * 100000 + e.n, 'item', map.position, '{}', map.uses, 'always', e.value->>'state', 1, 1,
    e.value->'output', clock_timestamp(), clock_timestamp(), clock_timestamp(), clock_timestamp()
  from jsonb_array_elements(p_ended) with ordinality as e(value, n);
  insert into public.run_events (tenant_id, run_id, seq, type, step_key, map_index, actor, data)
  select tenant, p_run, r.events + 2 * (e.n - 1) + m.at, m.type, items_key, p_map * 100000 + e.n, app.actor(), m.data
  from jsonb_array_elements(p_ended) with ordinality as e(value, n)
  cross join lateral (values
    (1, 'step.running', '{"attempt": 1}'::jsonb),
    (2, 'step.' || (e.value->>'state'), nullif(e.value - '{state,cursor,output}'::text[], '{}'))) as m(at, type, data);
  update public.runs set events = r.events + 2 * ended, items = app.more_items(r.items, ended) where tenant_id = tenant and id = p_run;
end
$$;
--> statement-breakpoint
alter function app.end_items(text, text, integer, text, bigint, jsonb) owner to weir_engine;
--> statement-breakpoint
revoke all on function app.end_items(text, text, integer, text, bigint, jsonb) from public;
--> statement-breakpoint
grant execute on function app.end_items(text, text, integer, text, bigint, jsonb) to weir_app, weir_engine;
--> statement-breakpoint
revoke create on schema app from weir_engine;
