-- Who may do what inside a tenant: projects, teams, the tenant's own roles, grants on single resources, and the policies that
-- ask for them. The claim's third field is its scope, 'wide:bound:project:granted:subject': letters of what the actor may do
-- in the whole tenant; letters of what in which project; letters of what grants may allow, to whom. See src/domain/access.ts.
grant create on schema app to weir_system;
--> statement-breakpoint
alter table public.tenants
  add column suspended_at timestamptz,
  add column deletes_at timestamptz,
  add column ip_allow text[] not null default '{}',
  add column origins text[] not null default '{}',
  -- {"user","apiKey"}: requests a minute, where they are not the usual ones.
  add column request_limits jsonb not null default '{}',
  add column require_sso boolean not null default false,
  add column mfa_roles text[] not null default '{}',
  add column over_quota text[] not null default '{}',
  add column plan text,
  add column audit_retention_days integer,
  add column settings jsonb not null default '{}';
--> statement-breakpoint
create table public.projects (
  tenant_id text not null,
  id text not null,
  name text not null,
  description text,
  created_by text not null default app.actor(),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, name),
  foreign key (tenant_id) references public.tenants (tenant_id)
);
--> statement-breakpoint
create table public.teams (
  tenant_id text not null,
  id text not null,
  name text not null,
  created_by text not null default app.actor(),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, name),
  foreign key (tenant_id) references public.tenants (tenant_id)
);
--> statement-breakpoint
create table public.team_members (
  tenant_id text not null,
  team_id text not null,
  user_id text not null,
  created_at timestamptz not null default now(),
  primary key (tenant_id, user_id, team_id),
  foreign key (tenant_id, team_id) references public.teams (tenant_id, id) on delete cascade,
  foreign key (tenant_id, user_id) references public.memberships (tenant_id, user_id) on delete cascade
);
--> statement-breakpoint
create index team_members_team on public.team_members (tenant_id, team_id);
--> statement-breakpoint
create table public.roles (
  tenant_id text not null,
  id text not null check (id ~ '^rol_[0-9a-z]{26}$'),
  name text not null,
  permissions text[] not null,
  created_by text not null default app.actor(),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, name),
  foreign key (tenant_id) references public.tenants (tenant_id)
);
--> statement-breakpoint
-- A guest may do nothing tenant-wide; a member's role may be one of the tenant's own.
alter table public.memberships drop constraint memberships_role, add constraint memberships_role check (
  role in ('owner', 'admin', 'developer', 'analyst', 'operator', 'viewer', 'guest') or role ~ '^rol_[0-9a-z]{26}$');
--> statement-breakpoint
alter table public.pipelines add column project_id text,
  add foreign key (tenant_id, project_id) references public.projects (tenant_id, id);
--> statement-breakpoint
alter table public.connections add column project_id text,
  add foreign key (tenant_id, project_id) references public.projects (tenant_id, id);
--> statement-breakpoint
alter table public.datasets add column project_id text,
  add foreign key (tenant_id, project_id) references public.projects (tenant_id, id);
--> statement-breakpoint
create index pipelines_project on public.pipelines (tenant_id, project_id, id) where project_id is not null;
--> statement-breakpoint
create index connections_project on public.connections (tenant_id, project_id, id) where project_id is not null;
--> statement-breakpoint
create index datasets_project on public.datasets (tenant_id, project_id, id) where project_id is not null;
--> statement-breakpoint
-- One a subject and resource. Both are held by foreign keys, so a grant ends with the membership, the team or the resource,
-- and one that crosses tenants cannot be stored.
create table public.grants (
  tenant_id text not null,
  id text not null,
  user_id text,
  team_id text,
  project_id text,
  pipeline_id text,
  connection_id text,
  dataset_id text,
  subject_id text not null,
  resource_kind text not null,
  resource_id text not null,
  level text not null check (level in ('read', 'run', 'edit', 'manage')),
  created_by text not null default app.actor(),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id),
  check (num_nonnulls(user_id, team_id) = 1),
  check (num_nonnulls(project_id, pipeline_id, connection_id, dataset_id) = 1),
  foreign key (tenant_id, user_id) references public.memberships (tenant_id, user_id) on delete cascade,
  foreign key (tenant_id, team_id) references public.teams (tenant_id, id) on delete cascade,
  foreign key (tenant_id, project_id) references public.projects (tenant_id, id) on delete cascade,
  foreign key (tenant_id, pipeline_id) references public.pipelines (tenant_id, id) on delete cascade,
  foreign key (tenant_id, connection_id) references public.connections (tenant_id, id) on delete cascade,
  foreign key (tenant_id, dataset_id) references public.datasets (tenant_id, id) on delete cascade
);
--> statement-breakpoint
create function app.name_grant() returns trigger
language plpgsql
as $$
begin
  new.subject_id := coalesce(new.user_id, new.team_id);
  new.resource_kind := case when new.project_id is not null then 'project' when new.pipeline_id is not null then 'pipeline'
    when new.connection_id is not null then 'connection' else 'dataset' end;
  new.resource_id := coalesce(new.project_id, new.pipeline_id, new.connection_id, new.dataset_id);
  return new;
end
$$;
--> statement-breakpoint
create trigger grants_name before insert or update on public.grants for each row execute function app.name_grant();
--> statement-breakpoint
create unique index grants_subject on public.grants (tenant_id, subject_id, resource_id);
--> statement-breakpoint
create index grants_resource on public.grants (tenant_id, resource_id, id);
--> statement-breakpoint
do $$
declare
  t text;
begin
  foreach t in array array['projects', 'teams', 'team_members', 'roles', 'grants'] loop
    execute format('call app.wall(%L)', 'public.' || t);
    execute format('grant select, insert, update, delete on public.%I to weir_app', t);
  end loop;
end
$$;
--> statement-breakpoint
-- The requests a minute that a plan allows, of 0016.
create function app.plan_limits(p_plan text) returns jsonb
language plpgsql stable
as $$
begin
  return coalesce((select p.request_limits from app.plans p where p.id = p_plan), '{}');
end
$$;
--> statement-breakpoint
-- What every request must know of its tenant: TenantRecord of src/domain/tenant-record.ts.
create function app.tenant_record(p_tenant text) returns jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_strip_nulls(jsonb_build_object(
    'suspended', t.suspended_at is not null, 'deletesAt', t.deletes_at, 'ipAllow', to_jsonb(t.ip_allow),
    'origins', to_jsonb(t.origins), 'limits', app.plan_limits(t.plan) || t.request_limits, 'overQuota', to_jsonb(t.over_quota),
    'requireSso', t.require_sso, 'mfaRoles', to_jsonb(t.mfa_roles),
    'roles', coalesce((select jsonb_object_agg(r.id, to_jsonb(r.permissions)) from public.roles r where r.tenant_id = t.tenant_id), '{}')))
  from public.tenants t where t.tenant_id = p_tenant
$$;
--> statement-breakpoint
-- How the claim's caller stands, asked only when Redis does not answer: {"stands" (the session), "role", "tenant"}.
create function app.caller_state(p_family text) returns jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object('stands', app.session_stands(p_family), 'role', (
    select m.role from public.memberships m where m.tenant_id = app.tenant_id() and m.user_id = app.actor()),
    'tenant', app.tenant_record(app.tenant_id()))
$$;
--> statement-breakpoint
create function app.scope() returns text
language sql stable parallel safe
as $$ select split_part(current_setting('app.claim', true), '.', 3) $$;
--> statement-breakpoint
-- Whether the claim allows it in the whole tenant. Meaningful, as app.bound and app.subject are, only where app.tenant_id()
-- is not null; policies ask for both.
create function app.may(p_letter text) returns boolean
language sql stable parallel safe
as $$ select strpos(split_part(split_part(current_setting('app.claim', true), '.', 3), ':', 1), p_letter) > 0 $$;
--> statement-breakpoint
-- Whether it allows one of these there.
create function app.may_any(p_letters text) returns boolean
language sql stable parallel safe
as $$
  select translate(w.wide, p_letters, '') <> w.wide
  from (select split_part(split_part(current_setting('app.claim', true), '.', 3), ':', 1) as wide) w
$$;
--> statement-breakpoint
-- Stops the transaction unless the claim allows it in the whole tenant: how functions that run with more rights than their
-- caller begin.
create function app.need(p_letter text, p_permission text) returns void
language plpgsql stable
as $$
begin
  if not coalesce(app.may(p_letter), false) then
    raise exception '%', p_permission using errcode = 'WE403';
  end if;
end
$$;
--> statement-breakpoint
-- The project in which the claim allows it.
create function app.bound(p_letter text) returns text
language sql stable parallel safe
as $$ select case when strpos(split_part(app.scope(), ':', 2), p_letter) > 0 then split_part(app.scope(), ':', 3) end $$;
--> statement-breakpoint
-- Whose grants may allow it.
create function app.subject(p_letter text) returns text
language sql stable parallel safe
as $$
  select case when strpos(split_part(app.scope(), ':', 4), p_letter) > 0
    then coalesce(nullif(split_part(app.scope(), ':', 5), ''), app.actor()) end
$$;
--> statement-breakpoint
-- Whether a grant of this level on this kind of resource allows what the letter stands for; allowedBy() of
-- src/domain/access.ts, a test compares the two.
create function app.grant_allows(p_kind text, p_level text, p_letter text) returns boolean
language sql immutable parallel safe
as $$
  select strpos(case p_kind when 'project' then 'jcdprRCDPJA' when 'pipeline' then 'prRPA' when 'connection' then 'cRCA' else 'dDA' end, p_letter) > 0
    and case p_level when 'read' then 1 when 'run' then 2 when 'edit' then 3 when 'manage' then 4 end
      >= case when p_letter in ('A', 'J') then 4 when p_letter in ('C', 'D', 'P') then 3 when p_letter = 'R' then 2 else 1 end
$$;
--> statement-breakpoint
-- Whether the claim reaches one resource though it does not allow the kind in the whole tenant: by its project, or by a grant
-- to the user or one of their teams on it or on its project. Probes an index: how many grants there are does not matter.
create function app.reach(p_letter text, p_resource text, p_project text) returns boolean
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text;
  who text;
begin
  if p_project = app.bound(p_letter) then
    return app.tenant_id() is not null;
  end if;
  who := app.subject(p_letter);
  if who is null then
    return false;
  end if;
  tenant := app.tenant_id();
  return exists (
    select from public.grants g
    where g.tenant_id = tenant and g.resource_id = any (array[p_resource, p_project])
      and g.subject_id = any (array(select m.team_id from public.team_members m where m.tenant_id = tenant and m.user_id = who) || who)
      and app.grant_allows(g.resource_kind, g.level, p_letter));
end
$$;
--> statement-breakpoint
create function app.reach_pipeline(p_letter text, p_pipeline text) returns boolean
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text;
  project text;
begin
  if app.bound(p_letter) is null and app.subject(p_letter) is null then
    return false;
  end if;
  tenant := app.tenant_id();
  select p.project_id into project from public.pipelines p where p.tenant_id = tenant and p.id = p_pipeline;
  return found and app.reach(p_letter, p_pipeline, project);
end
$$;
--> statement-breakpoint
create function app.reach_run(p_letter text, p_run text) returns boolean
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text;
  pipeline text;
begin
  if app.bound(p_letter) is null and app.subject(p_letter) is null then
    return false;
  end if;
  tenant := app.tenant_id();
  select r.pipeline_id into pipeline from public.runs r where r.tenant_id = tenant and r.id = p_run;
  return found and app.reach_pipeline(p_letter, pipeline);
end
$$;
--> statement-breakpoint
create function app.reach_dataset(p_letter text, p_dataset text) returns boolean
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text;
  project text;
begin
  if app.bound(p_letter) is null and app.subject(p_letter) is null then
    return false;
  end if;
  tenant := app.tenant_id();
  select d.project_id into project from public.datasets d where d.tenant_id = tenant and d.id = p_dataset;
  return found and app.reach(p_letter, p_dataset, project);
end
$$;
--> statement-breakpoint
create function app.reach_connection(p_letter text, p_connection text) returns boolean
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text;
  project text;
begin
  if app.bound(p_letter) is null and app.subject(p_letter) is null then
    return false;
  end if;
  tenant := app.tenant_id();
  select c.project_id into project from public.connections c where c.tenant_id = tenant and c.id = p_connection;
  return found and app.reach(p_letter, p_connection, project);
end
$$;
--> statement-breakpoint
create function app.reach_trigger(p_letter text, p_trigger text) returns boolean
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text;
  pipeline text;
begin
  if app.bound(p_letter) is null and app.subject(p_letter) is null then
    return false;
  end if;
  tenant := app.tenant_id();
  select t.pipeline_id into pipeline from public.triggers t where t.tenant_id = tenant and t.id = p_trigger;
  return found and app.reach_pipeline(p_letter, pipeline);
end
$$;
--> statement-breakpoint
create function app.reach_part(p_letter text, p_kind text, p_id text) returns boolean
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.tenant_id();
  pipeline text;
begin
  if p_kind = 'backfill' then
    select b.pipeline_id into pipeline from public.backfills b where b.tenant_id = tenant and b.id = p_id;
  elsif p_kind = 'letter' then
    select l.pipeline_id into pipeline from public.dead_letters l where l.tenant_id = tenant and l.id = p_id;
  elsif p_kind = 'alert' then
    select a.pipeline_id into pipeline from public.alerts a where a.tenant_id = tenant and a.id = p_id;
  end if;
  return pipeline is not null and app.reach_pipeline(p_letter, pipeline);
end
$$;
--> statement-breakpoint
create function app.reach_any(p_letter text, p_kind text, p_id text) returns boolean
language sql stable
as $$
  select case p_kind when 'project' then app.reach(p_letter, null, p_id) when 'pipeline' then app.reach_pipeline(p_letter, p_id)
    when 'connection' then app.reach_connection(p_letter, p_id) when 'dataset' then app.reach_dataset(p_letter, p_id)
    when 'run' then app.reach_run(p_letter, p_id) else app.reach_part(p_letter, p_kind, p_id) end
$$;
--> statement-breakpoint
-- Whether the caller may give this level there: only what they have themselves.
create function app.may_give(p_kind text, p_id text, p_level text) returns boolean
language sql stable
as $$
  select (app.may('A') or app.reach_any('A', p_kind, p_id)) and not exists (
    select from string_to_table('jcdprRCDPJA', null) as l
    where app.grant_allows(p_kind, p_level, l) and not (app.may(l) or app.reach_any(l, p_kind, p_id)))
$$;
--> statement-breakpoint
-- Stops the transaction unless the claim allows it on this resource. Errors: WE403 it does not, with p_permission as the
-- message; WE404 the caller may not know that there is such a thing, with its kind.
create function app.demand(p_letter text, p_kind text, p_id text, p_permission text) returns void
language plpgsql stable
as $$
declare
  seen text := case p_kind when 'project' then 'j' when 'pipeline' then 'p' when 'connection' then 'c' when 'dataset' then 'd' else 'r' end;
begin
  if app.may(p_letter) or app.reach_any(p_letter, p_kind, p_id) then
    return;
  end if;
  if app.may(seen) or app.reach_any(seen, p_kind, p_id) then
    raise exception '%', p_permission using errcode = 'WE403';
  end if;
  raise exception '%', case p_kind when 'letter' then 'dead letter' else p_kind end using errcode = 'WE404';
end
$$;
--> statement-breakpoint
-- Of the names {"connections","reads","writes","pipelines"} of a definition, those that the caller could not use by hand. What
-- is not there yet counts as somebody else's, but for a dataset to be made.
create function app.beyond(p_names jsonb) returns jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  with given as (
    select k.kind, n.name, case k.kind when 'reads' then 'd' when 'writes' then 'D' else 'R' end as letter
    from jsonb_each(p_names) as k(kind, names) cross join jsonb_array_elements_text(k.names) as n(name)
  ), beyond as (
    select g.kind, g.name from given g
    where app.tenant_id() is null or not coalesce(case g.kind
      when 'connections' then app.may('c') or (
        select app.reach('R', c.id, c.project_id) from public.connections c where c.tenant_id = app.tenant_id() and c.name = g.name)
      when 'pipelines' then app.may('R') or (
        select app.reach('R', p.id, p.project_id) from public.pipelines p
        where p.tenant_id = app.tenant_id() and p.name = g.name and p.deleted_at is null)
      else app.may(g.letter) or (
        select app.reach(g.letter, d.id, d.project_id) from public.datasets d where d.tenant_id = app.tenant_id() and d.name = g.name)
      end, g.kind = 'writes'))
  select jsonb_build_object('connections', '[]'::jsonb, 'reads', '[]'::jsonb, 'writes', '[]'::jsonb, 'pipelines', '[]'::jsonb)
    || coalesce((select jsonb_object_agg(kind, names) from (
      select kind, jsonb_agg(name order by name) as names from beyond group by kind) b), '{}')
$$;
--> statement-breakpoint
-- The same at the beginning of the engine's functions, after app.enter(): they run as weir_engine, whom the policies of the
-- tenant's rows do not ask for more. Without a good claim they find nothing anyway.
create function app.guard(p_kind text, p_id text) returns void
language plpgsql stable
as $$
declare
  letter text := case p_kind when 'connection' then 'C' else 'R' end;
begin
  if app.may(letter) or nullif(current_setting('app.tenant', true), '') is null then
    return;
  end if;
  perform app.demand(letter, p_kind, p_id, case letter when 'C' then 'connections:write' else 'runs:write' end);
end
$$;
--> statement-breakpoint
create function app.guard_wide(p_letter text, p_permission text) returns void
language plpgsql stable
as $$
begin
  if not app.may(p_letter) and nullif(current_setting('app.tenant', true), '') is not null then
    raise exception '%', p_permission using errcode = 'WE403';
  end if;
end
$$;
--> statement-breakpoint
-- Has the policies of a walled table ask for the letters too. p_reach is an expression with %L for the letter: whether a
-- claim that does not allow the kind in the whole tenant reaches the row.
create procedure app.gate(target regclass, p_reads text, p_writes text, p_reach text)
language plpgsql
as $$
declare
  own constant text := 'tenant_id = (select app.tenant_id()) and ((select app.may(%L))%s)';
  may_write text := format('(select app.may(%L))', p_writes) || coalesce(' or ' || replace(p_reach, '%L', quote_literal(p_writes)), '');
  -- Who may change a row may find it.
  reads text := format(own, p_reads, coalesce(' or ' || replace(p_reach, '%L', quote_literal(p_reads)), '') || ' or ' || may_write);
  writes text := format('tenant_id = (select app.tenant_id()) and (%s)', may_write);
begin
  execute format('alter policy tenant_select on %s using (%s)', target, reads);
  execute format('alter policy tenant_insert on %s with check (%s)', target, writes);
  execute format('alter policy tenant_update on %s using (%s) with check (%s)', target, writes, writes);
  execute format('alter policy tenant_delete on %s using (%s)', target, writes);
end
$$;
--> statement-breakpoint
do $$
begin
  call app.gate('public.projects', 'j', 'J', 'app.reach(%L, null, id)');
  call app.gate('public.pipelines', 'p', 'P', 'app.reach(%L, id, project_id)');
  call app.gate('public.pipeline_versions', 'p', 'P', 'app.reach_pipeline(%L, pipeline_id)');
  call app.gate('public.schedules', 'p', 'P', 'app.reach_pipeline(%L, pipeline_id)');
  call app.gate('public.triggers', 'p', 'P', 'app.reach_pipeline(%L, pipeline_id)');
  call app.gate('public.trigger_sources', 'p', 'P', 'app.reach_trigger(%L, trigger_id)');
  call app.gate('public.connections', 'c', 'C', 'app.reach(%L, id, project_id)');
  call app.gate('public.datasets', 'd', 'D', 'app.reach(%L, id, project_id)');
  call app.gate('public.dataset_versions', 'd', 'D', 'app.reach_dataset(%L, dataset_id)');
  call app.gate('public.runs', 'r', 'R', 'app.reach_pipeline(%L, pipeline_id)');
  call app.gate('public.steps', 'r', 'R', 'app.reach_run(%L, run_id)');
  call app.gate('public.run_events', 'r', 'R', 'app.reach_run(%L, run_id)');
  call app.gate('public.run_logs', 'r', 'R', 'app.reach_run(%L, run_id)');
  call app.gate('public.quality_results', 'r', 'R', 'app.reach_run(%L, run_id)');
  call app.gate('public.dead_letters', 'r', 'R', 'app.reach_pipeline(%L, pipeline_id)');
  call app.gate('public.backfills', 'r', 'R', 'app.reach_pipeline(%L, pipeline_id)');
  call app.gate('public.alerts', 'r', 'R', 'app.reach_pipeline(%L, pipeline_id)');
  call app.gate('public.waiting_fires', 'r', 'R', 'app.reach_pipeline(%L, pipeline_id)');
  call app.gate('public.webhook_receipts', 'r', 'R', 'app.reach_trigger(%L, trigger_id)');
  -- A run is shown with the name of its pipeline and what it did by which version: who may see or move runs may find those rows.
  alter policy tenant_select on public.pipelines using (tenant_id = (select app.tenant_id()) and ((select app.may('p'))
    or (select app.may('r')) or (select app.may('P')) or (select app.may('R')) or app.reach('p', id, project_id)
    or app.reach('r', id, project_id) or app.reach('P', id, project_id) or app.reach('R', id, project_id)));
  alter policy tenant_select on public.pipeline_versions using (tenant_id = (select app.tenant_id()) and ((select app.may('p'))
    or (select app.may('r')) or (select app.may('P')) or (select app.may('R')) or app.reach_pipeline('p', pipeline_id)
    or app.reach_pipeline('r', pipeline_id) or app.reach_pipeline('P', pipeline_id) or app.reach_pipeline('R', pipeline_id)));
  call app.gate('public.roles', 'a', 'A', null);
  call app.gate('public.grants', 'a', 'A', 'app.reach_any(''A'', resource_kind, resource_id)');
  alter policy tenant_insert on public.grants
    with check (tenant_id = (select app.tenant_id()) and app.may_give(resource_kind, resource_id, level));
  alter policy tenant_update on public.grants
    with check (tenant_id = (select app.tenant_id()) and app.may_give(resource_kind, resource_id, level));
end
$$;
--> statement-breakpoint
-- Names of days and of places that say nothing of anybody's data, but which only developers change.
do $$
declare
  t record;
begin
  for t in select * from (values ('calendars', 'P'), ('channels', 'C')) as t(name, letter) loop
    execute format('alter policy tenant_insert on public.%I with check (tenant_id = (select app.tenant_id()) and (select app.may(%L)))', t.name, t.letter);
    execute format('alter policy tenant_update on public.%I using (tenant_id = (select app.tenant_id()) and (select app.may(%L)))
      with check (tenant_id = (select app.tenant_id()) and (select app.may(%L)))', t.name, t.letter, t.letter);
    execute format('alter policy tenant_delete on public.%I using (tenant_id = (select app.tenant_id()) and (select app.may(%L)))', t.name, t.letter);
  end loop;
end
$$;
--> statement-breakpoint
-- A resource changes its project only for who may write both here and there: a grant on the resource itself is not enough.
create function app.guard_project() returns trigger
language plpgsql
as $$
begin
  if not coalesce(app.may(tg_argv[0]), false)
    and not (app.reach(tg_argv[0], null, old.project_id) and app.reach(tg_argv[0], null, new.project_id)) then
    raise exception '%', tg_argv[1] using errcode = 'WE403';
  end if;
  return new;
end
$$;
--> statement-breakpoint
create trigger pipelines_project before update of project_id on public.pipelines for each row
  when (old.project_id is distinct from new.project_id and current_user = 'weir_app') execute function app.guard_project('P', 'pipelines:write');
--> statement-breakpoint
create trigger connections_project before update of project_id on public.connections for each row
  when (old.project_id is distinct from new.project_id and current_user = 'weir_app') execute function app.guard_project('C', 'connections:write');
--> statement-breakpoint
create trigger datasets_project before update of project_id on public.datasets for each row
  when (old.project_id is distinct from new.project_id and current_user = 'weir_app') execute function app.guard_project('D', 'datasets:write');
--> statement-breakpoint
-- What grants give a user, in the order of the grants: [{"grantId","kind","id","level","team"}]. For the user, and for who may
-- see who may do what.
create function app.grants_of(p_user text, p_after text, p_limit integer) returns jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('grantId', g.id, 'kind', g.resource_kind, 'id', g.resource_id,
    'level', g.level, 'team', g.team_id)) order by g.id), '[]')
  from (
    select g.* from public.grants g
    where g.tenant_id = app.tenant_id() and g.id > p_after
      and (app.may('a') or p_user in (app.actor(), split_part(app.scope(), ':', 5)))
      and g.subject_id = any (array(
        select m.team_id from public.team_members m where m.tenant_id = app.tenant_id() and m.user_id = p_user) || p_user)
    order by g.id limit p_limit) g
$$;
--> statement-breakpoint
-- What the answer to "why can X do Y" is made of: Explained of src/db/grants.ts, or null without such a member. Without p_user it
-- is of the resource alone.
create function app.explain_access(p_user text, p_letter text, p_kind text, p_id text) returns jsonb
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.tenant_id();
  project text;
  known boolean := p_kind is null;
  said jsonb;
begin
  if tenant is null or not coalesce(app.may('a') or p_user = app.actor(), false) then
    return null;
  end if;
  case p_kind
    when 'project' then select true, p.id into known, project from public.projects p where p.tenant_id = tenant and p.id = p_id;
    when 'pipeline' then select true, p.project_id into known, project from public.pipelines p where p.tenant_id = tenant and p.id = p_id;
    when 'connection' then select true, c.project_id into known, project from public.connections c where c.tenant_id = tenant and c.id = p_id;
    when 'dataset' then select true, d.project_id into known, project from public.datasets d where d.tenant_id = tenant and d.id = p_id;
    else null;
  end case;
  select coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('grantId', g.id, 'kind', g.resource_kind, 'id', g.resource_id,
      'level', g.level, 'team', g.team_id, 'teamName', t.name,
      'allows', app.grant_allows(g.resource_kind, g.level, p_letter))) order by g.id), '[]') into said
  from public.grants g
  left join public.teams t on t.tenant_id = g.tenant_id and t.id = g.team_id
  where g.tenant_id = tenant and g.resource_id = any (array[p_id, project])
    and g.subject_id = any (array(
      select m.team_id from public.team_members m where m.tenant_id = tenant and m.user_id = p_user) || p_user);
  return (
    select jsonb_build_object('email', u.email, 'role', m.role, 'grants', said, 'projectId', project, 'exists', coalesce(known, false),
      'hasFactor', exists (select from public.factors f where f.user_id = p_user and f.confirmed_at is not null), 'roleNames', (
        select coalesce(jsonb_object_agg(r.id, r.name), '{}') from public.roles r
        where r.tenant_id = tenant and (r.id = m.role or app.may('a'))))
    from (select p_user as id) asked
    left join public.memberships m on m.tenant_id = tenant and m.user_id = asked.id
    left join public.users u on u.id = m.user_id
    where p_user is null or m.user_id is not null);
end
$$;
--> statement-breakpoint
-- Takes a role away that nobody holds: 'done', 'used', or null when there is no such role.
create function app.delete_role(p_id text) returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.tenant_id();
begin
  if not coalesce(app.may('A'), false) then
    raise exception 'access:write' using errcode = 'WE403';
  end if;
  perform from public.roles where tenant_id = tenant and id = p_id for update;
  if not found then
    return null;
  end if;
  if exists (select from public.memberships where tenant_id = tenant and role = p_id)
    or exists (select from public.service_accounts where tenant_id = tenant and role = p_id)
    or exists (select from public.invitations where tenant_id = tenant and role = p_id) then
    return 'used';
  end if;
  delete from public.roles where tenant_id = tenant and id = p_id;
  return 'done';
end
$$;
--> statement-breakpoint
do $$
declare
  f regprocedure;
begin
  foreach f in array array['app.tenant_record(text)', 'app.caller_state(text)', 'app.reach(text,text,text)', 'app.reach_pipeline(text,text)',
    'app.reach_run(text,text)', 'app.reach_dataset(text,text)', 'app.reach_connection(text,text)', 'app.reach_trigger(text,text)',
    'app.delete_role(text)', 'app.grants_of(text,text,integer)', 'app.explain_access(text,text,text,text)', 'app.reach_part(text,text,text)', 'app.beyond(jsonb)']::regprocedure[]
  loop
    execute format('alter function %s owner to weir_system', f);
    execute format('revoke all on function %s from public', f);
    execute format('grant execute on function %s to weir_app, weir_engine', f);
  end loop;
  -- Policies of dataset tables ask it for a tenant's own SQL too.
  grant execute on function app.reach_dataset(text, text) to weir_query;
end
$$;
--> statement-breakpoint
revoke create on schema app from weir_system;
