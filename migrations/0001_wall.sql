-- The wall between tenants. Roles:
--   weir_app     what the Worker connects as: owns nothing, bypasses nothing, makes nothing.
--   weir_query   what a tenant's own SQL runs as: reads and fills dataset tables behind the wall, and nothing else.
--   weir_engine  what the engine's functions run as: behind the wall too, for the tenant whose claim they have checked.
--   weir_system  owns the few functions that may look across tenants or make a table; nobody can sign in as it.
do $$
begin
  if not exists (select from pg_roles where rolname = 'weir_app') then
    create role weir_app login nosuperuser nobypassrls nocreatedb nocreaterole noinherit;
  end if;
  if not exists (select from pg_roles where rolname = 'weir_query') then
    create role weir_query nologin nosuperuser nobypassrls nocreatedb nocreaterole noinherit;
  end if;
  if not exists (select from pg_roles where rolname = 'weir_engine') then
    create role weir_engine nologin nosuperuser nobypassrls nocreatedb nocreaterole noinherit;
  end if;
  if not exists (select from pg_roles where rolname = 'weir_system') then
    create role weir_system nologin nosuperuser nobypassrls nocreatedb nocreaterole noinherit;
  end if;
exception when duplicate_object or unique_violation then
  null; -- two databases of one server migrated at once
end
$$;
--> statement-breakpoint
-- weir_app may step down to weir_query, and never gains its rights unasked.
grant weir_query to weir_app with inherit false, set true;
--> statement-breakpoint
do $$
begin
  execute format('grant weir_system, weir_engine to %I with inherit true, set true', current_user);
end
$$;
--> statement-breakpoint
create schema app;
--> statement-breakpoint
create schema data;
--> statement-breakpoint
grant usage on schema app to weir_app, weir_query, weir_engine, weir_system;
--> statement-breakpoint
-- A function can only be given to an owner who may create in its schema; taken back when the last one is made.
grant create on schema app to weir_system, weir_engine;
--> statement-breakpoint
grant usage on schema data to weir_app, weir_query;
--> statement-breakpoint
grant usage, create on schema data to weir_system;
--> statement-breakpoint
grant usage on schema public to weir_app, weir_engine, weir_system;
--> statement-breakpoint
revoke create on schema public from public;
--> statement-breakpoint
-- The claim keys: the padded halves of HMAC (RFC 2104), so that a claim is checked with two calls of sha256.
-- Two rows while keys rotate.
create table app.claim_keys (
  id text primary key,
  inner_pad bytea not null check (octet_length(inner_pad) = 64),
  outer_pad bytea not null check (octet_length(outer_pad) = 64),
  created_at timestamptz not null default now()
);
--> statement-breakpoint
revoke all on app.claim_keys from public;
--> statement-breakpoint
grant select on app.claim_keys to weir_system;
--> statement-breakpoint
-- app.claim is 'tenant.actor.scope.expiry.hmac': scope as 0009 reads it, expiry in seconds since 1970, hmac = HMAC-SHA256 in
-- hex of what precedes the last dot. Returns nothing when there is no claim, it is forged or it has expired.
create function app.tenant_id() returns text
language plpgsql stable security definer parallel safe
set search_path = pg_catalog, pg_temp
as $$
declare
  claim text := current_setting('app.claim', true);
  signed text := left(claim, -65);
begin
  if claim is null or length(claim) not between 70 and 300 or left(right(claim, 65), 1) <> '.' then
    return null;
  end if;
  -- What the signature covers is ours, so it is looked at only afterwards, and then needs no doubting.
  if not exists (
    select from app.claim_keys k
    where encode(sha256(k.outer_pad || sha256(k.inner_pad || convert_to(signed, 'UTF8'))), 'hex') = right(claim, 64)
  ) or split_part(signed, '.', 4)::bigint < extract(epoch from statement_timestamp()) then
    return null;
  end if;
  return split_part(signed, '.', 1);
end
$$;
--> statement-breakpoint
alter function app.tenant_id() owner to weir_system;
--> statement-breakpoint
-- Who the claim was signed for. Meaningful only where app.tenant_id() is not null.
create function app.actor() returns text
language sql stable parallel safe
as $$ select split_part(current_setting('app.claim', true), '.', 2) $$;
--> statement-breakpoint
-- Puts the wall around one table: forced row security, one policy a command for the Worker's role, one for the engine's
-- functions, which set app.tenant to what the claim says whenever they begin, and one for the role that owns the
-- cross-tenant functions.
create procedure app.wall(target regclass)
language plpgsql
as $$
declare
  command text;
begin
  execute format('alter table %s enable row level security', target);
  execute format('alter table %s force row level security', target);
  execute format('create policy tenant_select on %s for select to weir_app using (tenant_id = (select app.tenant_id()))', target);
  execute format('create policy tenant_insert on %s for insert to weir_app with check (tenant_id = (select app.tenant_id()))', target);
  execute format('create policy tenant_update on %s for update to weir_app using (tenant_id = (select app.tenant_id())) with check (tenant_id = (select app.tenant_id()))', target);
  execute format('create policy tenant_delete on %s for delete to weir_app using (tenant_id = (select app.tenant_id()))', target);
  execute format('create policy engine on %s for all to weir_engine using (tenant_id = current_setting(''app.tenant'')) with check (tenant_id = current_setting(''app.tenant''))', target);
  execute format('create policy system on %s for all to weir_system using (true) with check (true)', target);
  execute format('grant select, insert, update, delete on %s to weir_engine, weir_system', target);
end
$$;
--> statement-breakpoint
do $$
declare
  t regclass;
begin
  for t in
    select c.oid::regclass from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
    where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace
  loop
    call app.wall(t);
  end loop;
end
$$;
--> statement-breakpoint
-- People span tenants: no policy lets weir_app see them; the functions of 0002 do what is needed.
alter table public.users enable row level security;
--> statement-breakpoint
alter table public.users force row level security;
--> statement-breakpoint
create policy system on public.users for all to weir_system using (true) with check (true);
--> statement-breakpoint
grant select, insert, update, delete on public.users to weir_system;
--> statement-breakpoint
grant select on public.tenants, public.memberships, public.sessions, public.api_keys to weir_app;
--> statement-breakpoint
grant insert, update on public.api_keys to weir_app;
--> statement-breakpoint
grant update (name) on public.tenants to weir_app;
--> statement-breakpoint
grant select, insert on public.data_keys to weir_app;
--> statement-breakpoint
grant update (sealed) on public.data_keys to weir_app;
--> statement-breakpoint
grant select, insert, update, delete on public.connections, public.datasets, public.pipelines, public.schedules, public.runs,
  public.steps, public.outbox, public.idempotency_keys to weir_app;
--> statement-breakpoint
grant select, insert on public.pipeline_versions, public.run_events to weir_app;
--> statement-breakpoint
grant select, insert, update, delete on public.quality_results to weir_app;
--> statement-breakpoint
grant select on public.dataset_versions to weir_app;
