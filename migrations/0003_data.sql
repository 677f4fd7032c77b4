-- Dataset tables: one typed table a version, made here and nowhere else.

-- The SQL type of each column type of src/domain/column.ts.
create function app.sql_type(type text) returns text
language sql immutable strict parallel safe
as $$
  select case type
    when 'boolean' then 'boolean' when 'integer' then 'integer' when 'bigint' then 'bigint'
    when 'double' then 'double precision' when 'decimal' then 'numeric' when 'text' then 'text'
    when 'date' then 'date' when 'timestamp' then 'timestamp' when 'timestamptz' then 'timestamptz'
    when 'json' then 'jsonb' end
$$;
--> statement-breakpoint
-- Makes the table of a new version of dataset p_dataset for the step that fills it, and the dataset when it is new.
-- Columns: [{"name","type","nullable"}]. Asked again for the same run and step it drops what an earlier attempt left and
-- begins anew. The caller holds the step's fence. Returns the version's id, which is the table's name in schema data.
create function app.create_version(p_version text, p_dataset_id text, p_dataset text, p_run text, p_step text, p_columns jsonb)
returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.tenant_id();
  project text;
  dataset text;
  previous text;
  body text;
begin
  if tenant is null then
    raise exception 'no tenant' using errcode = '42501';
  end if;
  if p_version !~ '^dsv_[0-9a-hjkmnp-tv-z]{26}$' then
    raise exception 'not a version id' using errcode = '22023';
  end if;
  if jsonb_typeof(p_columns) <> 'array' or jsonb_array_length(p_columns) not between 1 and 1600 then
    raise exception 'a dataset has 1 to 1600 columns' using errcode = '22023';
  end if;
  if exists (
    select from jsonb_to_recordset(p_columns) as c(name text, type text)
    where c.name is null or c.name = '' or octet_length(c.name) > 63 or app.sql_type(c.type) is null
  ) then
    raise exception 'a column without a name or with an unknown type' using errcode = '22023';
  end if;

  select p.project_id into project from public.runs r
  join public.pipelines p on p.tenant_id = r.tenant_id and p.id = r.pipeline_id
  where r.tenant_id = tenant and r.id = p_run;
  insert into public.datasets (tenant_id, id, name, project_id) values (tenant, p_dataset_id, p_dataset, project)
  on conflict (tenant_id, name) do nothing;
  select id into dataset from public.datasets
  where tenant_id = tenant and name = p_dataset and (project is null or project_id = project);
  if dataset is null then
    raise exception 'a pipeline of a project fills the datasets of that project only' using errcode = '42501';
  end if;

  delete from public.dataset_versions
  where tenant_id = tenant and run_id = p_run and step_key = p_step
  returning id into previous;
  if previous is not null then
    execute format('drop table if exists data.%I', previous);
  end if;

  select string_agg(format('%I %s', c.name, app.sql_type(c.type)), ', ' order by c.ordinality) into body
  from rows from (jsonb_to_recordset(p_columns) as (name text, type text)) with ordinality as c(name, type, ordinality);

  execute format('create table data.%I (%s)', p_version, body);
  execute format('alter table data.%I enable row level security', p_version);
  execute format('alter table data.%I force row level security', p_version);
  execute format(
    'create policy tenant on data.%I for all to weir_app, weir_query
       using ((select app.tenant_id()) = %L and ((select app.may(''d'')) or (select app.reach_dataset(''d'', %L))))
       with check ((select app.tenant_id()) = %L and (select app.may(''D'')))',
    p_version, tenant, dataset, tenant);
  execute format('grant select, insert on data.%I to weir_app, weir_query', p_version);

  insert into public.dataset_versions (tenant_id, id, dataset_id, state, columns, run_id, step_key)
  values (tenant, p_version, dataset, 'building', p_columns, p_run, p_step);
  return p_version;
end
$$;
--> statement-breakpoint
alter function app.create_version(text, text, text, text, text, jsonb) owner to weir_system;
--> statement-breakpoint
revoke all on function app.create_version(text, text, text, text, text, jsonb) from public;
--> statement-breakpoint
grant execute on function app.create_version(text, text, text, text, text, jsonb) to weir_app;
--> statement-breakpoint
-- Makes a filled version the one that readers see, with fresh statistics for the planner.
create function app.publish_version(p_version text, p_rows bigint) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.tenant_id();
begin
  perform app.need('D', 'datasets:write');
  update public.dataset_versions set state = 'ready', rows = p_rows, ready_at = now(),
    bytes = pg_total_relation_size(format('data.%I', p_version)::regclass)
  where tenant_id = tenant and id = p_version and state = 'building';
  if not found then
    raise exception 'no such version' using errcode = 'P0002';
  end if;
  update public.datasets d set current_version_id = p_version, updated_at = now()
  from public.dataset_versions v
  where v.tenant_id = tenant and v.id = p_version and d.tenant_id = tenant and d.id = v.dataset_id;
  execute format('analyze data.%I', p_version);
end
$$;
--> statement-breakpoint
alter function app.publish_version(text, bigint) owner to weir_system;
--> statement-breakpoint
revoke all on function app.publish_version(text, bigint) from public;
--> statement-breakpoint
grant execute on function app.publish_version(text, bigint) to weir_app;
--> statement-breakpoint
-- The version that readers see of the dataset that p_version is being built for, or null. Who appends to the same dataset waits
-- here until this transaction is over, and is then told what it has published.
create function app.hold_current(p_version text) returns text
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.tenant_id();
  current text;
begin
  perform app.need('D', 'datasets:write');
  select d.current_version_id into current
  from public.dataset_versions v
  join public.datasets d on d.tenant_id = v.tenant_id and d.id = v.dataset_id
  where v.tenant_id = tenant and v.id = p_version and v.state = 'building'
  for no key update of d;
  return current;
end
$$;
--> statement-breakpoint
alter function app.hold_current(text) owner to weir_system;
--> statement-breakpoint
-- Fills a version that is being built with what its dataset holds, for more to be appended.
create function app.carry_over(p_version text, p_columns text[]) returns void
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  earlier text := app.hold_current(p_version);
  names text := (select string_agg(format('%I', c), ', ') from unnest(p_columns) c);
begin
  if earlier is not null then
    execute format('insert into data.%I (%s) select %s from data.%I', p_version, names, names, earlier);
  end if;
end
$$;
--> statement-breakpoint
revoke all on function app.hold_current(text), app.carry_over(text, text[]) from public;
--> statement-breakpoint
grant execute on function app.hold_current(text), app.carry_over(text, text[]) to weir_app;
--> statement-breakpoint
-- The pages of a version's table: its rows are never updated, so a range of pages is a range of rows.
create function app.version_pages(p_version text) returns bigint
language sql stable
as $$
  select pg_relation_size(format('data.%I', v.id)::regclass) / current_setting('block_size')::bigint
  from public.dataset_versions v
  where v.tenant_id = (select app.tenant_id()) and v.id = p_version
$$;
--> statement-breakpoint
-- Whether a rerun that is under way has taken over the step and reads what it made in that run.
create function app.is_reread(p_tenant text, p_run text, p_step text) returns boolean
language sql stable
as $$
  select exists (
    select from public.runs o
    join public.steps s on s.tenant_id = o.tenant_id and s.run_id = o.id and s.key = p_step and s.map_index = 0
      and s.copied_from = p_run
    where o.tenant_id = p_tenant and o.finished_at is null and o.rerun_of is not null)
$$;
--> statement-breakpoint
-- Drops the tables that nobody can read any more: all but the newest three ready versions of a dataset, where every run
-- that is under way began after they were replaced, and what finished runs left half-built. Called by the tick; at most
-- p_limit a call.
create function app.drop_old_versions(p_limit integer) returns integer
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  doomed record;
  dropped integer := 0;
begin
  for doomed in
    select v.tenant_id, v.id, v.run_id, v.step_key from (
      select tenant_id, id, state, run_id, step_key, dataset_id,
        row_number() over newest as age, lag(ready_at) over newest as replaced_at
      from public.dataset_versions where state in ('ready', 'building')
      window newest as (partition by tenant_id, dataset_id, state order by ready_at desc, id desc)
    ) v
    join public.datasets d on d.tenant_id = v.tenant_id and d.id = v.dataset_id
    join public.runs r on r.tenant_id = v.tenant_id and r.id = v.run_id
    where r.finished_at is not null
      and d.current_version_id is distinct from v.id
      and (v.state = 'building' or v.age > 3
        and not exists (
          select from public.runs o
          where o.tenant_id = v.tenant_id and o.finished_at is null and o.created_at < v.replaced_at)
        and not app.is_reread(v.tenant_id, v.run_id, v.step_key))
    limit p_limit
  loop
    -- A rerun that begins at this moment holds the versions that it will read.
    perform from public.dataset_versions v where v.tenant_id = doomed.tenant_id and v.id = doomed.id for update;
    continue when app.is_reread(doomed.tenant_id, doomed.run_id, doomed.step_key);
    execute format('drop table if exists data.%I', doomed.id);
    update public.dataset_versions set state = 'dropped' where tenant_id = doomed.tenant_id and id = doomed.id;
    dropped := dropped + 1;
  end loop;
  return dropped;
end
$$;
--> statement-breakpoint
alter function app.drop_old_versions(integer) owner to weir_system;
--> statement-breakpoint
revoke all on function app.drop_old_versions(integer) from public;
--> statement-breakpoint
grant execute on function app.drop_old_versions(integer) to weir_app;
