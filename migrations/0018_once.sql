-- An Idempotency-Key lets its request have its effect once: the transaction that has the effect says so on the key's row, or is
-- taken back.

grant create on schema app to weir_engine;
--> statement-breakpoint
-- 'effected': something was changed and the answer is still to come; 'lost': the answer was an error of ours.
alter table public.idempotency_keys
  -- The run that the request made, as an answer shows it: {"id","state","pipelineId","rerunOf"?}.
  add column made jsonb,
  add constraint idempotency_keys_state check (state in ('running', 'effected', 'lost', 'done'));
--> statement-breakpoint
-- The last statement of each transaction of a request that holds a key. One that only reads has no effect, nor has one that
-- refuses (app.made is '-'). What is changed by a request that does not hold its key any more is taken back with WE409.
create function app.take_effect(p_key text, p_until timestamptz) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.enter();
  run text := nullif(current_setting('app.made', true), '');
begin
  if pg_current_xact_id_if_assigned() is null or run = '-' then
    return;
  end if;
  update public.idempotency_keys k
  set state = case k.state when 'running' then 'effected' else k.state end,
    made = coalesce(k.made, (
      select jsonb_strip_nulls(jsonb_build_object('id', r.id, 'state', r.state, 'pipelineId', r.pipeline_id, 'rerunOf', r.rerun_of))
      from public.runs r where r.tenant_id = tenant and r.id = run))
  where k.tenant_id = tenant and k.actor = app.actor() and k.key = p_key and k.locked_until = p_until;
  if not found then
    raise exception 'the key is another request''s' using errcode = 'WE409';
  end if;
end
$$;
--> statement-breakpoint
alter function app.take_effect(text, timestamptz) owner to weir_engine;
--> statement-breakpoint
revoke all on function app.take_effect(text, timestamptz) from public;
--> statement-breakpoint
grant execute on function app.take_effect(text, timestamptz) to weir_app;
--> statement-breakpoint
revoke create on schema app from weir_engine;
