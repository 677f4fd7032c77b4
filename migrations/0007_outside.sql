-- Whom runs tell, and the runs that they start.

create table public.channels (
  tenant_id text not null,
  id text not null,
  name text not null,
  kind text not null,
  config jsonb not null,
  secret text,
  -- The last notice that was refused or did not arrive; null when the last one did.
  failure jsonb,
  disabled_at timestamptz,
  version integer not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint channels_tenant_id_id_pk primary key (tenant_id, id),
  constraint channels_tenant foreign key (tenant_id) references public.tenants (tenant_id),
  constraint channels_kind check (kind in ('webhook', 'slack', 'email'))
);
--> statement-breakpoint
create unique index channels_name on public.channels (tenant_id, name);
--> statement-breakpoint
call app.wall('public.channels');
--> statement-breakpoint
grant select, insert, update, delete on public.channels to weir_app;
--> statement-breakpoint
-- Starts a run for a step of another one, in the transaction that ends that step or makes it wait; that fails with it
-- (WE003) when the pipeline is gone or no longer what the parameters were checked for.
create function app.start_child(p_run text, p_pipeline text, p_options jsonb) returns jsonb
language plpgsql
as $$
declare
  started jsonb := app.start_run(p_run, p_pipeline, 'parent', p_options);
begin
  if started is null or started ? 'refused' then
    raise exception 'the pipeline cannot be started like this' using errcode = 'WE003';
  end if;
  return started;
end
$$;
--> statement-breakpoint
revoke all on function app.start_child(text, text, jsonb) from public;
--> statement-breakpoint
grant execute on function app.start_child(text, text, jsonb) to weir_app;
