-- What a tenant uses, counted in the transaction that uses it, and what its plan allows. Nothing here waits for anybody: what
-- happens is a row more in meterings, and the tick adds these up.

grant create on schema app to weir_system, weir_engine;
--> statement-breakpoint
-- What a plan allows: runs, rows, computeMs and requests a month, storageBytes and members at once; what it does not name is
-- not limited. request_limits are those of requests a minute: {"user","apiKey","tenant"}.
create table app.plans (
  id text primary key,
  quotas jsonb not null,
  request_limits jsonb not null default '{}'
);
--> statement-breakpoint
revoke all on app.plans from public;
--> statement-breakpoint
grant select on app.plans to weir_app, weir_engine, weir_system;
--> statement-breakpoint
insert into app.plans (id, quotas, request_limits) values
  ('free', '{"requests": 1000000, "runs": 5000, "rows": 10000000, "computeMs": 36000000, "storageBytes": 1073741824, "members": 5}',
    '{"tenant": 1000}'),
  ('team', '{"requests": 10000000, "runs": 100000, "rows": 1000000000, "computeMs": 720000000, "storageBytes": 107374182400,
    "members": 50}', '{"tenant": 5000}'),
  ('business', '{"requests": 100000000, "runs": 1000000, "rows": 20000000000, "computeMs": 7200000000,
    "storageBytes": 2199023255552, "members": 1000}', '{"tenant": 20000}'),
  ('unlimited', '{}', '{}');
--> statement-breakpoint
-- Of one tenant alone, instead of its plan's; null lifts a quota.
alter table public.tenants add column quotas jsonb not null default '{}', add column metered_at timestamptz;
--> statement-breakpoint
alter table public.tenants alter column plan set default 'unlimited';
--> statement-breakpoint
update public.tenants set plan = 'unlimited' where plan is null or plan not in (select id from app.plans);
--> statement-breakpoint
alter table public.tenants alter column plan set not null, add constraint tenants_plan foreign key (plan) references app.plans (id);
--> statement-breakpoint
create index tenants_metered on public.tenants (metered_at nulls first);
--> statement-breakpoint
-- What its steps have moved and how long they were worked on, as far as they have ended.
alter table public.runs add column rows_moved bigint not null default 0, add column compute_ms bigint not null default 0;
--> statement-breakpoint
alter table public.steps add column claimed_at timestamptz;
--> statement-breakpoint
alter table public.dataset_versions add column bytes bigint not null default 0;
--> statement-breakpoint
-- What has happened and is not added up yet.
create table public.meterings (
  tenant_id text not null,
  id bigint generated always as identity,
  day date not null default (now() at time zone 'utc')::date,
  pipeline_id text not null,
  version_id text not null,
  runs integer not null default 0,
  refused_runs integer not null default 0,
  rows bigint not null default 0,
  compute_ms bigint not null default 0,
  constraint meterings_tenant_id_id_pk primary key (tenant_id, id),
  constraint meterings_tenant foreign key (tenant_id) references public.tenants (tenant_id)
);
--> statement-breakpoint
create table public.usage (
  tenant_id text not null,
  day date not null,
  meter text not null,
  -- Empty where it belongs to none.
  project_id text not null default '',
  pipeline_id text not null default '',
  -- Those that the pipeline's version had.
  tags jsonb not null default '{}',
  amount bigint not null,
  constraint usage_pk primary key (tenant_id, day, meter, project_id, pipeline_id, tags),
  constraint usage_tenant foreign key (tenant_id) references public.tenants (tenant_id)
);
--> statement-breakpoint
-- The same by month, for the quotas.
create table public.usage_totals (
  tenant_id text not null,
  month date not null,
  meter text not null,
  amount bigint not null,
  constraint usage_totals_pk primary key (tenant_id, month, meter),
  constraint usage_totals_tenant foreign key (tenant_id) references public.tenants (tenant_id)
);
--> statement-breakpoint
-- Requests, as Redis has counted them. An epoch is the life of one counter: one that was lost begins another.
create table public.request_counts (
  tenant_id text not null,
  day date not null,
  epoch text not null,
  amount bigint not null,
  constraint request_counts_pk primary key (tenant_id, day, epoch),
  constraint request_counts_tenant foreign key (tenant_id) references public.tenants (tenant_id)
);
--> statement-breakpoint
-- Files in the object storage: those whose upload was only promised count too, until the tick has seen what became of it.
create table public.stored_files (
  tenant_id text not null,
  connection_id text not null,
  name text not null,
  bytes bigint not null check (bytes >= 0),
  promised_at timestamptz,
  constraint stored_files_pk primary key (tenant_id, connection_id, name),
  constraint stored_files_connection foreign key (tenant_id, connection_id) references public.connections (tenant_id, id) on delete cascade
);
--> statement-breakpoint
create index stored_files_promised on public.stored_files (promised_at) where promised_at is not null;
--> statement-breakpoint
do $$
declare
  t regclass;
begin
  foreach t in array array['meterings', 'usage', 'usage_totals', 'request_counts', 'stored_files']::regclass[] loop
    call app.wall(t);
  end loop;
end
$$;
--> statement-breakpoint
grant select, update, delete on public.stored_files to weir_app;
--> statement-breakpoint
create function app.quotas(p_tenant text) returns jsonb
language sql stable
as $$
  select jsonb_strip_nulls(p.quotas || t.quotas) from public.tenants t join app.plans p on p.id = t.plan where t.tenant_id = p_tenant
$$;
--> statement-breakpoint
-- What the tenant has used this month of what is counted by the month: {meter: amount}.
create function app.used(p_tenant text) returns jsonb
language sql stable
as $$
  select coalesce(jsonb_object_agg(u.meter, u.amount), '{}') from (
    select a.meter, sum(a.amount)::bigint as amount from (
      select t.meter, t.amount from public.usage_totals t
      where t.tenant_id = p_tenant and t.month = date_trunc('month', now() at time zone 'utc')::date
      union all
      select x.meter, x.amount from public.meterings m
      cross join lateral (values ('runs', m.runs::bigint), ('refusedRuns', m.refused_runs), ('rows', m.rows), ('computeMs', m.compute_ms)) as x(meter, amount)
      where m.tenant_id = p_tenant and m.day >= date_trunc('month', now() at time zone 'utc')
      union all
      select 'requests', r.amount from public.request_counts r
      where r.tenant_id = p_tenant and r.day >= date_trunc('month', now() at time zone 'utc')) a
    group by a.meter) u
$$;
--> statement-breakpoint
create function app.stored_bytes(p_tenant text) returns bigint
language sql stable
as $$
  select (coalesce((select sum(v.bytes) from public.dataset_versions v where v.tenant_id = p_tenant and v.state = 'ready'), 0)
    + coalesce((select sum(f.bytes) from public.stored_files f where f.tenant_id = p_tenant), 0))::bigint
$$;
--> statement-breakpoint
create function app.month_ends() returns timestamptz
language sql stable
as $$ select (date_trunc('month', now() at time zone 'utc') + interval '1 month') at time zone 'utc' $$;
--> statement-breakpoint
-- How the tenant stands with a quota that is used up: {"name","used","limit","resetsAt"?}.
create function app.quota_json(p_name text, p_used bigint, p_limit bigint) returns jsonb
language sql stable
as $$
  select jsonb_strip_nulls(jsonb_build_object('name', p_name, 'used', p_used, 'limit', p_limit,
    'resetsAt', case when p_name not in ('storageBytes', 'members') then app.month_ends() end))
$$;
--> statement-breakpoint
-- The quota that keeps the tenant from starting a run, or null.
create function app.run_quota(p_quotas jsonb, p_used jsonb) returns jsonb
language sql stable
as $$
  select app.quota_json(q.name, coalesce((p_used->>q.name)::bigint, 0), (p_quotas->>q.name)::bigint)
  from (values ('runs', 1), ('rows', 2), ('computeMs', 3)) as q(name, n)
  where coalesce((p_used->>q.name)::bigint, 0) >= (p_quotas->>q.name)::bigint
  order by q.n limit 1
$$;
--> statement-breakpoint
-- Counts a run that is about to start, or refuses it: {"refused": "quota", "quota"}. A run that another one waits for is
-- work under way, counted and never refused. When few are left, those who start are let through one after the other, so
-- that together they do not overshoot; only a transaction that holds nothing yet may wait for its turn, so that nobody waits
-- for a holder who waits for him. For the same reason such a one, which is told so by {"alone"}, locks nothing afterwards.
create function app.count_run(p_tenant text, p_pipeline text, p_version text, p_trigger text) returns jsonb
language plpgsql
as $$
declare
  free boolean := pg_current_xact_id_if_assigned() is null;
  allowed jsonb := case when p_trigger <> 'parent' then app.quotas(p_tenant) end;
  used jsonb;
  refused jsonb;
  near boolean := false;
begin
  if allowed ?| array['runs', 'rows', 'computeMs'] then
    used := app.used(p_tenant);
    near := free and (allowed->>'runs')::bigint - coalesce((used->>'runs')::bigint, 0) <= 300;
    if near then
      perform pg_advisory_xact_lock(hashtextextended('weir quota ' || p_tenant, 0));
      used := app.used(p_tenant);
    end if;
    refused := app.run_quota(allowed, used);
  end if;
  insert into public.meterings (tenant_id, pipeline_id, version_id, runs, refused_runs)
  values (p_tenant, p_pipeline, p_version, case when refused is null then 1 else 0 end, case when refused is null then 0 else 1 end);
  return case when refused is not null then jsonb_build_object('refused', 'quota', 'quota', refused) when near then '{"alone": true}' end;
end
$$;
--> statement-breakpoint
-- Counts what a run that has just ended has moved and taken.
create function app.count_work(r public.runs) returns void
language sql
as $$
  insert into public.meterings (tenant_id, pipeline_id, version_id, rows, compute_ms)
  select r.tenant_id, r.pipeline_id, r.version_id, r.rows_moved, r.compute_ms
  where r.rows_moved > 0 or r.compute_ms > 0
$$;
--> statement-breakpoint
-- Promises room for an upload: null, or the quota that has none. Uploads of one tenant are judged one after the other.
create function app.promise_file(p_connection text, p_name text, p_bytes bigint) returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.enter();
  most bigint := (app.quotas(tenant)->>'storageBytes')::bigint;
  used bigint;
begin
  if most is not null then
    perform pg_advisory_xact_lock(hashtextextended('weir storage ' || tenant, 0));
    used := app.stored_bytes(tenant) - coalesce((
      select bytes from public.stored_files where tenant_id = tenant and connection_id = p_connection and name = p_name), 0);
    if used + p_bytes > most then
      return app.quota_json('storageBytes', used, most);
    end if;
  end if;
  insert into public.stored_files (tenant_id, connection_id, name, bytes, promised_at)
  values (tenant, p_connection, p_name, p_bytes, clock_timestamp())
  on conflict (tenant_id, connection_id, name) do update set bytes = excluded.bytes, promised_at = excluded.promised_at;
  return null;
end
$$;
--> statement-breakpoint
-- The quotas of the claim's tenant, with what is used: [{"name","used","limit"?,"resetsAt"?}].
create function app.quota_standings() returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.enter();
  allowed jsonb := app.quotas(tenant);
  used jsonb := app.used(tenant) || jsonb_build_object('storageBytes', app.stored_bytes(tenant),
    'members', (select count(*) from public.memberships m where m.tenant_id = tenant));
begin
  return (
    select jsonb_agg(app.quota_json(q.name, coalesce((used->>q.name)::bigint, 0), (allowed->>q.name)::bigint) order by q.n)
    from (values ('requests', 1), ('runs', 2), ('rows', 3), ('computeMs', 4), ('storageBytes', 5), ('members', 6)) as q(name, n));
end
$$;
--> statement-breakpoint
-- Everything that the claim's tenant has used in these days, up to this moment: what is added up, what is not yet, and what
-- runs that are open have taken.
create function app.usage_rows(p_from date, p_to date)
returns table (day date, meter text, project_id text, pipeline_id text, tags jsonb, amount bigint)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
  tenant text := app.enter();
begin
  return query
    select u.day, u.meter, u.project_id, u.pipeline_id, u.tags, u.amount
    from public.usage u where u.tenant_id = tenant and u.day between p_from and p_to
    union all
    select r.day, 'requests', '', '', '{}'::jsonb, r.amount
    from public.request_counts r where r.tenant_id = tenant and r.day between p_from and p_to
    union all
    select w.day, x.meter, coalesce(p.project_id, ''), w.pipeline_id, coalesce(v.definition->'tags', '{}'), x.amount
    from (
      select m.day, m.pipeline_id, m.version_id, m.runs::bigint as runs, m.refused_runs::bigint as refused, m.rows, m.compute_ms
      from public.meterings m where m.tenant_id = tenant
      union all
      select (now() at time zone 'utc')::date, o.pipeline_id, o.version_id, 0, 0, o.rows_moved, o.compute_ms
      from public.runs o
      where o.tenant_id = tenant and o.finished_at is null and (o.rows_moved > 0 or o.compute_ms > 0)) w
    left join public.pipelines p on p.tenant_id = tenant and p.id = w.pipeline_id
    left join public.pipeline_versions v on v.tenant_id = tenant and v.id = w.version_id
    cross join lateral (values ('runs', w.runs), ('refusedRuns', w.refused), ('rows', w.rows), ('computeMs', w.compute_ms)) as x(meter, amount)
    where w.day between p_from and p_to and x.amount > 0;
end
$$;
--> statement-breakpoint
-- Keeps tenants.over_quota in step with what is used. True when that has changed.
create function app.judge_quotas(p_tenant text) returns boolean
language plpgsql
as $$
declare
  allowed jsonb := app.quotas(p_tenant);
  used jsonb;
  spent text[] := '{}';
begin
  if allowed <> '{}' then
    used := app.used(p_tenant) || jsonb_build_object('storageBytes', app.stored_bytes(p_tenant),
      'members', (select count(*) from public.memberships m where m.tenant_id = p_tenant));
    spent := array(
      select q.key from jsonb_each_text(allowed) q where coalesce((used->>q.key)::bigint, 0) >= q.value::bigint order by q.key);
  end if;
  update public.tenants set over_quota = spent where tenant_id = p_tenant and over_quota is distinct from spent;
  return found;
end
$$;
--> statement-breakpoint
-- The same for the claim's tenant, at once.
create function app.judge_own_quotas() returns boolean
language sql security definer
set search_path = pg_catalog, pg_temp
as $$ select app.judge_quotas(app.enter()) $$;
--> statement-breakpoint
-- Adds up what a tenant's meterings hold. One at a time a tenant; who finds somebody at it leaves it to him.
create function app.fold_usage(p_tenant text) returns void
language plpgsql
as $$
begin
  if not pg_try_advisory_xact_lock(hashtextextended('weir fold ' || p_tenant, 0)) then
    return;
  end if;
  with taken as (
    delete from public.meterings m where m.tenant_id = p_tenant returning m.*
  ), summed as (
    select day, pipeline_id, version_id, sum(runs)::bigint as runs, sum(refused_runs)::bigint as refused_runs,
      sum(rows)::bigint as rows, sum(compute_ms)::bigint as compute_ms
    from taken group by day, pipeline_id, version_id
  ), amounts as (
    select s.day, x.meter, coalesce(p.project_id, '') as project_id, s.pipeline_id, coalesce(v.definition->'tags', '{}') as tags,
      sum(x.amount)::bigint as amount
    from summed s
    cross join lateral (values ('runs', s.runs), ('refusedRuns', s.refused_runs), ('rows', s.rows), ('computeMs', s.compute_ms)) as x(meter, amount)
    left join public.pipelines p on p.tenant_id = p_tenant and p.id = s.pipeline_id
    left join public.pipeline_versions v on v.tenant_id = p_tenant and v.id = s.version_id
    where x.amount > 0
    group by 1, 2, 3, 4, 5
  ), daily as (
    insert into public.usage as u (tenant_id, day, meter, project_id, pipeline_id, tags, amount)
    select p_tenant, a.day, a.meter, a.project_id, a.pipeline_id, a.tags, a.amount from amounts a
    on conflict (tenant_id, day, meter, project_id, pipeline_id, tags) do update set amount = u.amount + excluded.amount)
  insert into public.usage_totals as t (tenant_id, month, meter, amount)
  select p_tenant, date_trunc('month', a.day)::date, a.meter, sum(a.amount)::bigint from amounts a group by 2, 3
  on conflict (tenant_id, month, meter) do update set amount = t.amount + excluded.amount;
end
$$;
--> statement-breakpoint
-- Notes how many bytes the tenant keeps today, at the most: by project.
create function app.note_storage(p_tenant text) returns void
language sql
as $$
  insert into public.usage as u (tenant_id, day, meter, project_id, amount)
  select p_tenant, (now() at time zone 'utc')::date, 'storageByteDays', s.project_id, sum(s.bytes)::bigint
  from (
    select coalesce(d.project_id, '') as project_id, v.bytes from public.dataset_versions v
    join public.datasets d on d.tenant_id = v.tenant_id and d.id = v.dataset_id
    where v.tenant_id = p_tenant and v.state = 'ready'
    union all
    select coalesce(c.project_id, ''), f.bytes from public.stored_files f
    join public.connections c on c.tenant_id = f.tenant_id and c.id = f.connection_id
    where f.tenant_id = p_tenant) s
  group by s.project_id having sum(s.bytes) > 0
  on conflict (tenant_id, day, meter, project_id, pipeline_id, tags) do update set amount = greatest(u.amount, excluded.amount)
$$;
--> statement-breakpoint
-- The tick's part: adds up what has happened since the last one, and looks at those tenants again that were longest not
-- looked at. Returns the tenants whose used-up quotas have changed.
create function app.add_up_usage(p_limit integer) returns setof text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  t text;
begin
  for t in
    with recursive busy as (
      (select m.tenant_id from public.meterings m order by m.tenant_id limit 1)
      union all
      select (select m.tenant_id from public.meterings m where m.tenant_id > b.tenant_id order by m.tenant_id limit 1)
      from busy b where b.tenant_id is not null)
    select b.tenant_id from busy b where b.tenant_id is not null limit p_limit
  loop
    perform app.fold_usage(t);
    if app.judge_quotas(t) then
      return next t;
    end if;
  end loop;
  for t in
    update public.tenants set metered_at = clock_timestamp()
    where tenant_id in (
      select o.tenant_id from public.tenants o
      where o.metered_at is null or o.metered_at < clock_timestamp() - interval '10 min'
      order by o.metered_at nulls first limit p_limit for no key update skip locked)
    returning tenant_id
  loop
    perform app.note_storage(t);
    if app.judge_quotas(t) then
      return next t;
    end if;
  end loop;
end
$$;
--> statement-breakpoint
-- Takes over what one of Redis' counters says: {tenant: requests} of a day. Asked again, or with what an older reading said,
-- it changes nothing. Returns the tenants whose used-up quotas have changed.
create function app.count_requests(p_day date, p_epoch text, p_counts jsonb) returns setof text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  t text;
begin
  for t in
    with counted as (
      insert into public.request_counts as r (tenant_id, day, epoch, amount)
      select e.tenant_id, p_day, p_epoch, c.value::bigint
      from jsonb_each_text(p_counts) c join public.tenants e on e.tenant_id = c.key
      order by e.tenant_id
      on conflict (tenant_id, day, epoch) do update set amount = excluded.amount where r.amount < excluded.amount
      returning r.tenant_id)
    select c.tenant_id from counted c
    join public.tenants e on e.tenant_id = c.tenant_id
    where app.quotas(e.tenant_id) ? 'requests'
  loop
    if app.judge_quotas(t) then
      return next t;
    end if;
  end loop;
end
$$;
--> statement-breakpoint
-- Uploads that were promised so long ago that they have begun or never will: each is given out to one tick only.
create function app.promised_files(p_limit integer) returns table (tenant_id text, connection_id text, name text)
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
  update public.stored_files f set promised_at = clock_timestamp()
  where (f.tenant_id, f.connection_id, f.name) in (
    select s.tenant_id, s.connection_id, s.name from public.stored_files s
    where s.promised_at < clock_timestamp() - interval '20 min'
    order by s.promised_at limit p_limit for update skip locked)
  returning f.tenant_id, f.connection_id, f.name
$$;
--> statement-breakpoint
do $$
declare
  f regprocedure;
begin
  foreach f in array array['app.promise_file(text,text,bigint)', 'app.quota_standings()', 'app.judge_own_quotas()',
    'app.usage_rows(date,date)']::regprocedure[] loop
    execute format('alter function %s owner to weir_engine', f);
    execute format('revoke all on function %s from public', f);
    execute format('grant execute on function %s to weir_app', f);
  end loop;
  foreach f in array array[
    'app.add_up_usage(integer)', 'app.count_requests(date,text,jsonb)', 'app.promised_files(integer)']::regprocedure[]
  loop
    execute format('alter function %s owner to weir_system', f);
    execute format('revoke all on function %s from public', f);
    execute format('grant execute on function %s to weir_app', f);
  end loop;
end
$$;
--> statement-breakpoint
revoke create on schema app from weir_system, weir_engine;
