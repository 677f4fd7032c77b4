-- What a tenant uses, counted in the transaction that uses it, and what its plan allows. Nothing here waits for anybody but those
-- who start the last runs that a plan allows: what happens is a row more in meterings, and the tick adds these up.

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
  -- Of a refused one: what was to start it, and the quota that did not let it.
  trigger text,
  quota text,
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
  -- Since when it is to be looked at what became of an upload.
  promised_at timestamptz,
  -- When an address for an upload was last given out.
  asked_at timestamptz,
  -- What the object storage said of it when it was last looked at: its tag, and when it was stored.
  seen text,
  -- Since when it is being removed, and the request that asked for it.
  removing_at timestamptz,
  removing_in text,
  constraint stored_files_pk primary key (tenant_id, connection_id, name),
  constraint stored_files_connection foreign key (tenant_id, connection_id) references public.connections (tenant_id, id) on delete cascade
);
--> statement-breakpoint
create index stored_files_promised on public.stored_files (promised_at) where promised_at is not null;
--> statement-breakpoint
create index stored_files_removing on public.stored_files (removing_at) where removing_at is not null;
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
grant select on public.stored_files to weir_app;
--> statement-breakpoint
grant execute on function app.note_own(text, text, text, jsonb) to weir_engine;
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
-- Waits until no other transaction is about to start one of the tenant's last runs, before this one holds anything that others
-- may wait for.
create function app.take_turn() returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.enter();
begin
  perform pg_advisory_xact_lock(hashtextextended('weir quota ' || tenant, 0));
  perform set_config('app.turn', 'alone', true);
end
$$;
--> statement-breakpoint
-- The quota that keeps the tenant from starting a run now, or null, exactly: runs that others have begun and not committed
-- cannot be seen, so while there are enough for all who could be at it (four for each connection) starts share the tenant's
-- turn; of the last ones each is begun alone. Only a transaction that holds nothing yet waits for the turn as long as it takes,
-- so nobody waits for a holder who waits for him; any other waits a moment and is then taken back with WE004, to come again with
-- app.take_turn first.
create function app.judge_start(p_tenant text, p_allowed jsonb) returns jsonb
language plpgsql
as $$
declare
  key bigint := hashtextextended('weir quota ' || p_tenant, 0);
  turn text := coalesce(current_setting('app.turn', true), '');
  -- Of this transaction, while it shares the turn.
  begun integer := case when turn = 'alone' then 0 else coalesce(nullif(turn, '')::integer, 0) end;
  most bigint := (p_allowed->>'runs')::bigint;
  unseen bigint := 4 * current_setting('max_connections')::bigint;
  is_free boolean := pg_current_xact_id_if_assigned() is null;
  patience text := current_setting('lock_timeout');
  used jsonb;
  refused jsonb;
begin
  if most is null or turn = 'alone' then
    return app.run_quota(p_allowed, app.used(p_tenant));
  end if;
  if begun < 4 and most - unseen > coalesce((
    select amount from public.usage_totals
    where tenant_id = p_tenant and month = date_trunc('month', now() at time zone 'utc')::date and meter = 'runs'), 0)
  then
    begin
      if is_free then
        perform pg_advisory_xact_lock_shared(key);
      elsif not pg_try_advisory_xact_lock_shared(key) then
        raise exception 'runs are being started' using errcode = 'WE004';
      end if;
      used := app.used(p_tenant);
      if most - unseen > coalesce((used->>'runs')::bigint, 0) then
        perform set_config('app.turn', (begun + 1)::text, true);
        return app.run_quota(p_allowed, used);
      end if;
      raise exception 'few runs are left' using errcode = 'WE005';
    exception when sqlstate 'WE005' then
      null; -- and the share in the turn is given back
    end;
  end if;
  -- What is used up stays so, whoever is at it.
  refused := app.run_quota(p_allowed, app.used(p_tenant));
  if refused is not null then
    return refused;
  end if;
  if is_free then
    perform pg_advisory_xact_lock(key);
  elsif not pg_try_advisory_xact_lock(key) then
    -- Two who share the turn would each wait for the other.
    if begun > 0 then
      raise exception 'runs are being started' using errcode = 'WE004';
    end if;
    begin
      perform set_config('lock_timeout', '100ms', true);
      perform pg_advisory_xact_lock(key);
      perform set_config('lock_timeout', patience, true);
    exception when lock_not_available then
      raise exception 'runs are being started' using errcode = 'WE004';
    end;
  end if;
  perform set_config('app.turn', 'alone', true);
  return app.run_quota(p_allowed, app.used(p_tenant));
end
$$;
--> statement-breakpoint
-- Counts a run that is about to start, or refuses it: {"refused": "quota", "quota"}; every start passes here. A run that another
-- one waits for is work under way, counted and never refused.
create function app.count_run(p_tenant text, p_pipeline text, p_version text, p_trigger text) returns jsonb
language plpgsql
as $$
declare
  allowed jsonb := case when p_trigger <> 'parent' then app.quotas(p_tenant) end;
  refused jsonb;
begin
  if allowed ?| array['runs', 'rows', 'computeMs'] then
    refused := app.judge_start(p_tenant, allowed);
  end if;
  if refused is null then
    insert into public.meterings (tenant_id, pipeline_id, version_id, runs) values (p_tenant, p_pipeline, p_version, 1);
    return null;
  end if;
  insert into public.meterings (tenant_id, pipeline_id, version_id, refused_runs, trigger, quota)
  values (p_tenant, p_pipeline, p_version, 1, p_trigger, refused->>'name');
  if p_trigger in ('manual', 'rerun') then
    perform app.note_own('quota.refused', 'pipeline', p_pipeline,
      jsonb_build_object('quota', refused->'name', 'used', refused->'used', 'limit', refused->'limit'));
  end if;
  return jsonb_build_object('refused', 'quota', 'quota', refused);
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
-- How entries name a file.
create function app.file_id(p_connection text, p_name text) returns text
language sql immutable
as $$ select left(p_connection || '/' || p_name, 300) $$;
--> statement-breakpoint
-- Promises room for an upload, and notes it before anybody has an address to upload to: null, {"refused": "quota", "quota"},
-- or {"refused": "removing"} while one of this name is being removed. Uploads of one tenant are judged one after the other.
create function app.promise_file(p_connection text, p_name text, p_bytes bigint) returns jsonb
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.enter();
  most bigint := (app.quotas(tenant)->>'storageBytes')::bigint;
  used bigint;
begin
  perform app.guard('connection', p_connection);
  if most is not null then
    perform pg_advisory_xact_lock(hashtextextended('weir storage ' || tenant, 0));
    used := app.stored_bytes(tenant) - coalesce((
      select bytes from public.stored_files where tenant_id = tenant and connection_id = p_connection and name = p_name), 0);
    if used + p_bytes > most then
      perform app.note_own('quota.refused', 'file', app.file_id(p_connection, p_name),
        jsonb_build_object('name', p_name, 'bytes', p_bytes, 'quota', 'storageBytes', 'used', used, 'limit', most));
      return jsonb_build_object('refused', 'quota', 'quota', app.quota_json('storageBytes', used, most));
    end if;
  end if;
  insert into public.stored_files as f (tenant_id, connection_id, name, bytes, promised_at, asked_at)
  values (tenant, p_connection, p_name, p_bytes, clock_timestamp(), clock_timestamp())
  on conflict (tenant_id, connection_id, name)
    do update set bytes = excluded.bytes, promised_at = excluded.promised_at, asked_at = excluded.asked_at
    where f.removing_at is null;
  if not found then
    return '{"refused": "removing"}';
  end if;
  perform app.note_own('file.upload', 'file', app.file_id(p_connection, p_name), jsonb_build_object('name', p_name, 'bytes', p_bytes));
  return null;
end
$$;
--> statement-breakpoint
-- When an upload whose address was given out then is to be looked for again, as promised_at says it; null when it cannot come
-- any more. An address is good for a quarter of an hour, what began then may take long, and nobody tells us when it is there.
create function app.next_look(p_asked timestamptz) returns timestamptz
language sql stable
as $$
  select case when clock_timestamp() < p_asked + interval '20 min' then p_asked
    when clock_timestamp() < p_asked + interval '1 hour' then p_asked + interval '40 min'
    when clock_timestamp() < p_asked + interval '1 day' then p_asked + interval '1 day' - interval '20 min' end
$$;
--> statement-breakpoint
-- What the object storage says of a promised file: {"bytes","seen","changedAt"}, or null when it is not there.
create function app.settle_file(p_connection text, p_name text, p_found jsonb) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.enter();
  f public.stored_files;
  again timestamptz;
begin
  perform app.guard('connection', p_connection);
  select * into f from public.stored_files
  where tenant_id = tenant and connection_id = p_connection and name = p_name and removing_at is null for update;
  if not found then
    return;
  end if;
  again := app.next_look(f.asked_at);
  if p_found->>'seen' is distinct from f.seen and p_found is not null then
    perform app.note(tenant, 'job:tick', 'file.stored', 'file', app.file_id(p_connection, p_name),
      jsonb_build_object('name', p_name, 'bytes', p_found->'bytes', 'changedAt', p_found->'changedAt'));
    again := null;
  elsif again is null and f.promised_at is not null then
    perform app.note(tenant, 'job:tick', 'file.lapsed', 'file', app.file_id(p_connection, p_name),
      jsonb_build_object('name', p_name, 'askedAt', f.asked_at));
  end if;
  if p_found is null and again is null then
    delete from public.stored_files where tenant_id = tenant and connection_id = p_connection and name = p_name;
  else
    update public.stored_files
    set bytes = coalesce((p_found->>'bytes')::bigint, 0), seen = p_found->>'seen', promised_at = again
    where tenant_id = tenant and connection_id = p_connection and name = p_name;
  end if;
end
$$;
--> statement-breakpoint
-- Notes that a file is to be removed, before anybody removes it. What was begun is finished by the tick, see app.due_removals.
create function app.begin_removal(p_connection text, p_name text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.enter();
begin
  perform app.guard('connection', p_connection);
  insert into public.stored_files (tenant_id, connection_id, name, bytes, removing_at, removing_in)
  values (tenant, p_connection, p_name, 0, clock_timestamp(), app.request()->>'requestId')
  on conflict (tenant_id, connection_id, name) do update set removing_at = excluded.removing_at, removing_in = excluded.removing_in;
  perform app.note_own('file.delete', 'file', app.file_id(p_connection, p_name), jsonb_build_object('name', p_name));
end
$$;
--> statement-breakpoint
-- Notes that it is removed, once, whoever has removed it. While an upload may still come in its place, that is looked for.
create function app.end_removal(p_connection text, p_name text) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.enter();
  f public.stored_files;
  again timestamptz;
begin
  perform app.guard('connection', p_connection);
  select * into f from public.stored_files
  where tenant_id = tenant and connection_id = p_connection and name = p_name and removing_at is not null for update;
  if not found then
    return;
  end if;
  again := app.next_look(f.asked_at);
  if again is null then
    delete from public.stored_files where tenant_id = tenant and connection_id = p_connection and name = p_name;
  else
    update public.stored_files set bytes = 0, seen = null, promised_at = again, removing_at = null, removing_in = null
    where tenant_id = tenant and connection_id = p_connection and name = p_name;
  end if;
  perform app.note(tenant, app.actor(), 'file.deleted', 'file', app.file_id(p_connection, p_name),
    jsonb_strip_nulls(jsonb_build_object('name', p_name, 'requestId', f.removing_in)));
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
  perform app.need('g', 'usage:read');
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
-- Of a quota: how far it is used ('quota', its level the share in %), or that a pipeline could not start ('refused').
alter table public.alerts
  alter column pipeline_id drop not null,
  add column quota text,
  -- The month for which it is said.
  add column period date,
  drop constraint alerts_kind,
  add constraint alerts_kind
    check (kind in ('warned', 'late', 'escalated', 'failed', 'recovered', 'not_fired', 'refused', 'quota')),
  add constraint alerts_whose check ((pipeline_id is null) = (kind = 'quota')),
  add constraint alerts_quota check ((quota is not null and period is not null) = (kind in ('refused', 'quota')));
--> statement-breakpoint
create unique index alerts_of_quota on public.alerts (tenant_id, quota, period, level, coalesce(pipeline_id, '')) where quota is not null;
--> statement-breakpoint
-- Tells those who are told of failed and late runs, and the audit log, that a quota has come to 80 % or to its end: once each a
-- month, and only the end where both have come at once. What is said of `storageBytes` and `members`, which no month ends, is not
-- said again before it was untrue. Alerts that are true no longer are resolved.
create function app.tell_quotas(p_tenant text, p_allowed jsonb, p_used jsonb) returns void
language plpgsql
as $$
declare
  this_month date := date_trunc('month', now() at time zone 'utc')::date;
  q record;
  made text;
  words text;
  standing jsonb;
begin
  update public.alerts a set state = 'resolved', resolved_at = clock_timestamp()
  where a.tenant_id = p_tenant and a.quota is not null and a.state = 'open'
    and (a.period < this_month and a.quota not in ('storageBytes', 'members')
      or coalesce(coalesce((p_used->>a.quota)::bigint, 0) * 100 <
        (p_allowed->>a.quota)::bigint * case a.kind when 'quota' then a.level else 100 end, true));
  for q in
    select l.name, l.used, l.most, case when l.used >= l.most then 100 else 80 end as level
    from (
      select e.key as name, coalesce((p_used->>e.key)::bigint, 0) as used, e.value::bigint as most
      from jsonb_each_text(p_allowed) e) l
    where l.most > 0 and l.used * 100 >= l.most * 80
    order by l.name
  loop
    continue when exists (
      select from public.alerts a
      where a.tenant_id = p_tenant and a.quota = q.name and a.kind = 'quota' and a.level >= q.level
        and (a.period = this_month or a.state = 'open'));
    made := app.new_id('alr');
    standing := app.quota_json(q.name, q.used, q.most);
    insert into public.alerts (tenant_id, id, kind, level, quota, period, detail)
    values (p_tenant, made, 'quota', q.level, q.name, this_month, standing)
    on conflict do nothing;
    continue when not found;
    words := case q.level when 100 then 'the quota ' || q.name || ' is used up' else '80 % of the quota ' || q.name || ' are used' end
      || format(': %s of %s', q.used, q.most);
    insert into public.outbox (tenant_id, kind, payload, send_after)
    select p_tenant, 'notify', jsonb_build_object('channel', c.name, 'alertId', made, 'subject', words, 'body',
      jsonb_build_object('kind', 'quota', 'level', q.level, 'alertId', made, 'detail', standing)), now()
    from (
      select distinct n->>'to' as name
      from public.pipelines p
      join public.pipeline_versions v on v.tenant_id = p.tenant_id and v.pipeline_id = p.id and v.version = p.current_version
      cross join lateral jsonb_array_elements(v.definition->'notify') n
      where p.tenant_id = p_tenant and p.deleted_at is null and n->'on' ?| array['failed', 'late', 'warning']) c;
    perform app.note(p_tenant, 'system', case q.level when 100 then 'quota.use_up' else 'quota.warn' end, 'quota', q.name, standing);
  end loop;
end
$$;
--> statement-breakpoint
-- Tells of starts of a pipeline that a quota has refused and nobody was there to be told of: one alert a pipeline, quota and
-- month, which counts them.
create function app.tell_refused(p_tenant text, p_pipeline text, p_version text, p_quota text, p_month date, p_trigger text,
  p_refused bigint) returns void
language plpgsql
as $$
declare
  made text := app.new_id('alr');
begin
  update public.alerts a
  set detail = a.detail || jsonb_build_object('refused', (a.detail->>'refused')::bigint + p_refused, 'lastAt', clock_timestamp(),
    'triggers', (a.detail->'triggers') || jsonb_build_object(p_trigger, coalesce((a.detail->'triggers'->>p_trigger)::bigint, 0) + p_refused))
  where a.tenant_id = p_tenant and a.kind = 'refused' and a.pipeline_id = p_pipeline and a.quota = p_quota and a.period = p_month;
  if found then
    return;
  end if;
  insert into public.alerts (tenant_id, id, kind, pipeline_id, quota, period, detail)
  values (p_tenant, made, 'refused', p_pipeline, p_quota, p_month, jsonb_build_object('quota', p_quota, 'refused', p_refused,
    'triggers', jsonb_build_object(p_trigger, p_refused), 'lastAt', clock_timestamp()));
  perform app.notify(p_tenant, p_version, array['failed', 'late'], made, 'it cannot start, the quota ' || p_quota || ' is used up',
    jsonb_build_object('kind', 'refused', 'detail', jsonb_build_object('quota', p_quota, 'trigger', p_trigger)), interval '0');
end
$$;
--> statement-breakpoint
-- Keeps tenants.over_quota in step with what is used, and tells of it. True when it has changed.
create function app.judge_quotas(p_tenant text) returns boolean
language plpgsql
as $$
declare
  allowed jsonb := app.quotas(p_tenant);
  used jsonb := '{}';
  spent text[] := '{}';
begin
  if allowed <> '{}' then
    used := app.used(p_tenant) || jsonb_build_object('storageBytes', app.stored_bytes(p_tenant),
      'members', (select count(*) from public.memberships m where m.tenant_id = p_tenant));
    spent := array(
      select q.key from jsonb_each_text(allowed) q where coalesce((used->>q.key)::bigint, 0) >= q.value::bigint order by q.key);
  end if;
  perform app.tell_quotas(p_tenant, allowed, used);
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
declare
  r record;
begin
  if not pg_try_advisory_xact_lock(hashtextextended('weir fold ' || p_tenant, 0)) then
    return;
  end if;
  for r in
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
    on conflict (tenant_id, day, meter, project_id, pipeline_id, tags) do update set amount = u.amount + excluded.amount
  ), monthly as (
    insert into public.usage_totals as t (tenant_id, month, meter, amount)
    select p_tenant, date_trunc('month', a.day)::date, a.meter, sum(a.amount)::bigint from amounts a group by 2, 3
    on conflict (tenant_id, month, meter) do update set amount = t.amount + excluded.amount)
  -- Whoever asked for a run by hand was told at once.
  select t.pipeline_id, max(t.version_id) as version_id, t.quota, date_trunc('month', t.day)::date as month, t.trigger,
    sum(t.refused_runs)::bigint as refused
  from taken t where t.trigger not in ('manual', 'rerun')
  group by t.pipeline_id, t.quota, month, t.trigger
  loop
    perform app.tell_refused(p_tenant, r.pipeline_id, r.version_id, r.quota, r.month, r.trigger, r.refused);
  end loop;
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
-- Removals that somebody began and did not come back from, each given out to one tick at a time.
create function app.due_removals(p_limit integer) returns table (tenant_id text, connection_id text, name text)
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
  update public.stored_files f set removing_at = clock_timestamp()
  where (f.tenant_id, f.connection_id, f.name) in (
    select s.tenant_id, s.connection_id, s.name from public.stored_files s
    where s.removing_at < clock_timestamp() - interval '5 min'
    order by s.removing_at limit p_limit for update skip locked)
  returning f.tenant_id, f.connection_id, f.name
$$;
--> statement-breakpoint
do $$
declare
  f regprocedure;
begin
  foreach f in array array['app.promise_file(text,text,bigint)', 'app.settle_file(text,text,jsonb)',
    'app.begin_removal(text,text)', 'app.end_removal(text,text)', 'app.quota_standings()', 'app.judge_own_quotas()', 'app.take_turn()',
    'app.usage_rows(date,date)']::regprocedure[] loop
    execute format('alter function %s owner to weir_engine', f);
    execute format('revoke all on function %s from public', f);
    execute format('grant execute on function %s to weir_app', f);
  end loop;
  foreach f in array array[
    'app.add_up_usage(integer)', 'app.count_requests(date,text,jsonb)', 'app.promised_files(integer)',
    'app.due_removals(integer)']::regprocedure[]
  loop
    execute format('alter function %s owner to weir_system', f);
    execute format('revoke all on function %s from public', f);
    execute format('grant execute on function %s to weir_app', f);
  end loop;
end
$$;
--> statement-breakpoint
revoke create on schema app from weir_system, weir_engine;
