-- Who did what: one entry for every change that a person makes and every read of data, written in the transaction that does
-- it, sealed into one hash chain a tenant by the tick. docs/security/audit.md says what it proves and what it does not.

grant create on schema app to weir_system;
--> statement-breakpoint
-- Nothing here is ever changed but seq, hash and sealed_at, once, when the entry is sealed.
create table public.audit_entries (
  tenant_id text not null,
  id bigint generated always as identity,
  at timestamptz not null default clock_timestamp(),
  actor text not null,
  actor_kind text not null,
  action text collate "C" not null,
  target_kind text not null,
  target_id text,
  target_name text,
  address text,
  user_agent text,
  credential text,
  request_id text,
  -- Rows of data that were shown.
  records bigint,
  details jsonb not null default '{}',
  seq bigint,
  hash bytea,
  sealed_at timestamptz,
  constraint audit_entries_tenant_id_id_pk primary key (tenant_id, id),
  constraint audit_entries_sealed check ((seq is null) = (hash is null) and (seq is null) = (sealed_at is null))
);
--> statement-breakpoint
create unique index audit_entries_seq on public.audit_entries (tenant_id, seq) where seq is not null;
--> statement-breakpoint
create index audit_entries_unsealed on public.audit_entries (tenant_id, id) where seq is null;
--> statement-breakpoint
create index audit_entries_at on public.audit_entries (tenant_id, at, id);
--> statement-breakpoint
create index audit_entries_actor on public.audit_entries (tenant_id, actor, at, id);
--> statement-breakpoint
create index audit_entries_action on public.audit_entries (tenant_id, action, at, id);
--> statement-breakpoint
create index audit_entries_target on public.audit_entries (tenant_id, target_id, at, id) where target_id is not null;
--> statement-breakpoint
create index audit_entries_request on public.audit_entries (tenant_id, request_id, at, id) where request_id is not null;
--> statement-breakpoint
-- Where each tenant's chain ends, and where it begins: the anchor is the last entry that retention has taken. Both are
-- signed with a key that the database does not have.
create table public.audit_heads (
  tenant_id text not null,
  seq bigint not null default 0,
  hash bytea not null,
  sealed_at timestamptz,
  signed jsonb,
  anchor_seq bigint not null default 0,
  anchor jsonb,
  looked_at timestamptz,
  constraint audit_heads_tenant_id_pk primary key (tenant_id)
);
--> statement-breakpoint
create index audit_heads_looked on public.audit_heads (looked_at nulls first);
--> statement-breakpoint
create table public.audit_streams (
  tenant_id text not null,
  id text not null,
  name text not null,
  url text not null,
  secret text,
  -- Beginnings of actions; none is everything.
  actions text[] not null default '{}',
  -- The last entry that has arrived, or was passed over.
  cursor bigint not null default 0,
  attempts integer not null default 0,
  next_attempt_at timestamptz not null default now(),
  failure jsonb,
  disabled_at timestamptz,
  version integer not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint audit_streams_tenant_id_id_pk primary key (tenant_id, id),
  constraint audit_streams_tenant foreign key (tenant_id) references public.tenants (tenant_id)
);
--> statement-breakpoint
create unique index audit_streams_name on public.audit_streams (tenant_id, name);
--> statement-breakpoint
create index audit_streams_due on public.audit_streams (next_attempt_at) where disabled_at is null;
--> statement-breakpoint
do $$
declare
  t regclass;
begin
  foreach t in array array['public.audit_entries', 'public.audit_heads', 'public.audit_streams']::regclass[] loop
    call app.wall(t);
    execute format('revoke all on %s from weir_engine', t);
    execute format('grant select on %s to weir_app', t);
  end loop;
end
$$;
--> statement-breakpoint
grant insert, update, delete on public.audit_streams to weir_app;
--> statement-breakpoint
-- Whether the tenant is being erased: its time to change its mind is over, or it is gone already.
create function app.is_ending(p_tenant text) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select coalesce((
    select (to_jsonb(t)->>'deletes_at')::timestamptz <= now() is true from public.tenants t where t.tenant_id = p_tenant), true)
$$;
--> statement-breakpoint
-- Refuses to change or to take an entry, whoever asks: sealed once, taken by retention and with the whole tenant.
create function app.keep_audit() returns trigger
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'UPDATE' and current_user = 'weir_system' then
    if old.seq is null then
      old.seq := new.seq;
      old.hash := new.hash;
      old.sealed_at := new.sealed_at;
      if old is not distinct from new then
        return new;
      end if;
    end if;
  elsif tg_op = 'DELETE' and current_user = 'weir_system' then
    if current_setting('app.audit_pruning', true) = old.tenant_id or app.is_ending(old.tenant_id) then
      return old;
    end if;
  end if;
  raise exception 'audit entries are kept as they are' using errcode = '42501';
end
$$;
--> statement-breakpoint
create trigger kept before update or delete on public.audit_entries for each row execute function app.keep_audit();
--> statement-breakpoint
create trigger kept_whole before truncate on public.audit_entries for each statement execute function app.keep_audit();
--> statement-breakpoint
-- These small ones are only called by functions that have pinned their search path; without one of their own they cost less.

-- What the Worker says of the request: {"requestId","address","userAgent","credential"}. Never who asks: that is the claim's.
create function app.request() returns jsonb
language sql stable
as $$
  select case when pg_input_is_valid(current_setting('app.request', true), 'jsonb')
    then current_setting('app.request', true)::jsonb else '{}' end
$$;
--> statement-breakpoint
-- The claim's actor. Where there is no claim, whom the function that is at work says that it acts for (app.acting): a sign-up
-- or a sign-in, before there can be one.
create function app.who() returns text
language sql stable
as $$
  select case when app.tenant_id() is not null then app.actor()
    else coalesce(nullif(current_setting('app.acting', true), ''), 'system') end
$$;
--> statement-breakpoint
create function app.actor_kind(p_actor text) returns text
language sql immutable
as $$
  select case when p_actor like 'usr\_%' then 'user' when p_actor like 'key\_%' then 'api-key'
    when p_actor like 'sac\_%' then 'service-account' when p_actor ~ '^(job|schedule|event)(:|$)' then 'job' else 'system' end
$$;
--> statement-breakpoint
-- Writes an entry. p_details may hold "name", "records", "address", "userAgent", "credential" and "requestId", which become
-- columns; the rest stays as it is, so it holds no secret. Refusals of one actor are counted: ten a minute are kept.
create function app.note(p_tenant text, p_actor text, p_action text, p_kind text, p_id text, p_details jsonb) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  request jsonb := app.request();
  details jsonb := coalesce(p_details, '{}');
  who text := coalesce(nullif(p_actor, ''), app.who());
begin
  if p_action like '%.refused' then
    -- What is refused has no effect, whatever is written to say so; see app.take_effect.
    perform set_config('app.made', coalesce(nullif(current_setting('app.made', true), ''), '-'), true);
  end if;
  if p_tenant is null or p_action like '%.refused' and (
    select count(*) from (
      select from public.audit_entries
      where tenant_id = p_tenant and actor = who and at > clock_timestamp() - interval '1 minute'
        and action like '%.refused' limit 10) recent) = 10
  then
    return;
  end if;
  insert into public.audit_entries (tenant_id, actor, actor_kind, action, target_kind, target_id, target_name,
    address, user_agent, credential, request_id, records, details)
  values (p_tenant, who, app.actor_kind(who), p_action, p_kind, p_id, left(details->>'name', 200),
    left(coalesce(details->>'address', request->>'address'), 64),
    left(coalesce(details->>'userAgent', request->>'userAgent'), 300),
    left(coalesce(details->>'credential', request->>'credential'), 100),
    left(coalesce(details->>'requestId', request->>'requestId'), 128),
    (details->>'records')::bigint,
    details - '{name,records,address,userAgent,credential,requestId}'::text[]);
end
$$;
--> statement-breakpoint
-- What the claim's actor does that no trigger sees: above all a read of data, in the transaction that reads. Jobs are not noted.
create function app.note_own(p_action text, p_kind text, p_id text, p_details jsonb) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.tenant_id();
begin
  if tenant is null then
    raise exception 'no tenant' using errcode = '42501';
  elsif app.actor_kind(app.actor()) <> 'job' then
    perform app.note(tenant, app.actor(), p_action, p_kind, p_id, p_details);
  end if;
end
$$;
--> statement-breakpoint
-- Somebody was not let in as the person who has this address, in every tenant of that person.
create function app.note_refused_sign_in(p_email text, p_reason text, p_request jsonb) returns void
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform app.note(m.tenant_id, m.user_id, 'session.refused', 'user', m.user_id,
    p_request || jsonb_build_object('reason', p_reason))
  from public.users u join public.memberships m on m.user_id = u.id
  where lower(u.email) = lower(p_email);
end
$$;
--> statement-breakpoint
-- What a person does to a run, for the engine's functions, which have looked at the claim.
create function app.note_run(p_tenant text, p_action text, p_run text, p_details jsonb) returns void
language plpgsql
as $$
begin
  if app.actor_kind(app.actor()) <> 'job' then
    perform app.note(p_tenant, app.actor(), p_action, 'run', p_run, jsonb_strip_nulls(p_details));
  end if;
end
$$;
--> statement-breakpoint
-- A value as an entry shows it: nothing that is secret by its name, and nothing long.
create function app.audit_shown(p_value jsonb) returns jsonb
language plpgsql immutable
as $$
begin
  if octet_length(p_value::text) > 2000 then
    return jsonb_build_object('characters', length(p_value::text));
  elsif jsonb_typeof(p_value) = 'object' then
    return (
      select coalesce(jsonb_object_agg(key, case when key ~* 'secret|passw|token|hash|private|credential|sealed'
        then '"•••"'::jsonb else app.audit_shown(value) end), '{}')
      from jsonb_each(p_value));
  elsif jsonb_typeof(p_value) = 'array' then
    return (select coalesce(jsonb_agg(app.audit_shown(value) order by n), '[]')
      from jsonb_array_elements(p_value) with ordinality as a(value, n));
  end if;
  return p_value;
end
$$;
--> statement-breakpoint
-- Of a change, the fields that differ: {"field": {"from","to"}}; of a hidden one only that it does.
create function app.audit_changes(p_old jsonb, p_new jsonb, p_hidden text[], p_silent text[]) returns jsonb
language sql immutable
as $$
  select coalesce(jsonb_object_agg(key, case when key = any(p_hidden) then '{"hidden": true}'
      else jsonb_strip_nulls(jsonb_build_object('from', app.audit_shown(p_old->key), 'to', app.audit_shown(p_new->key))) end), '{}')
  from jsonb_object_keys(coalesce(p_new, p_old)) as key
  where key <> all(p_silent) and coalesce(p_old->key, 'null') <> coalesce(p_new->key, 'null')
$$;
--> statement-breakpoint
-- What an update is called, by what it sets or unsets.
create function app.audit_verb(p_old jsonb, p_new jsonb) returns text
language sql immutable
as $$
  select coalesce((
    select case when p_old->>field is null then begun else ended end
    from (values (1, 'deleted_at', 'delete', 'restore'), (2, 'revoked_at', 'revoke', 'restore'),
      (3, 'deletes_at', 'delete_later', 'keep'), (4, 'suspended_at', 'suspend', 'resume'),
      (5, 'paused_at', 'pause', 'resume'), (6, 'disabled_at', 'disable', 'enable'), (7, 'accepted_at', 'accept', 'reopen'),
      (8, 'declined_at', 'decline', 'reopen'), (9, 'resolved_by', 'resolve', 'reopen'),
      (10, 'used_by', 'accept', 'reopen')) as v(n, field, begun, ended)
    where (p_old->>field is null) <> (p_new->>field is null) order by n limit 1), 'update')
$$;
--> statement-breakpoint
-- After a change of a table: arguments are the kind, the columns of its id, the one of its name, those that are hidden, those
-- that do not count, and whether jobs change it in the course of their work, which is no business of this log.
create function app.audit() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  was jsonb := case when tg_op <> 'INSERT' then to_jsonb(old) end;
  is_now jsonb := case when tg_op <> 'DELETE' then to_jsonb(new) end;
  it jsonb := coalesce(is_now, was);
  who text := app.who();
  changes jsonb;
begin
  if tg_argv[5] = 'jobs' and app.actor_kind(who) = 'job' then
    return null;
  end if;
  changes := app.audit_changes(was, is_now, string_to_array(tg_argv[3], ','), string_to_array(tg_argv[4], ','));
  if tg_op = 'UPDATE' and changes = '{}'
    or tg_op = 'DELETE' and app.is_ending(it->>'tenant_id')
  then
    return null;
  end if;
  perform app.note(it->>'tenant_id', who,
    tg_argv[0] || '.' || case tg_op when 'INSERT' then 'create' when 'DELETE' then 'delete' else app.audit_verb(was, is_now) end,
    tg_argv[0],
    (select string_agg(it->>column_name, '/' order by n) from unnest(string_to_array(tg_argv[1], ',')) with ordinality as c(column_name, n)),
    jsonb_build_object('name', it->>tg_argv[2], 'changed', changes));
  return null;
end
$$;
--> statement-breakpoint
-- Tables behind the wall whose changes are not entries, and why.
create table app.unaudited (
  name text primary key,
  reason text not null
);
--> statement-breakpoint
insert into app.unaudited (name, reason) values
  ('audit_entries', 'the log itself'),
  ('stored_files', 'bytes that count for a quota; files are noted by the functions that promise and remove them'),
  ('meterings', 'what is counted for quotas'),
  ('usage', 'what is counted for quotas'),
  ('usage_totals', 'what is counted for quotas'),
  ('request_counts', 'what is counted for quotas'),
  ('sso_attempts', 'a sign-in under way, gone in minutes'),
  ('former_members', 'written with the end of a membership, which is an entry'),
  ('audit_heads', 'the ends of the log, moved by sealing and retention'),
  ('runs', 'the engine''s; what people do to runs is noted by the functions that do it'),
  ('steps', 'the engine''s; what people do to steps is noted by the functions that do it'),
  ('run_events', 'the engine''s own record'),
  ('run_logs', 'the engine''s own record'),
  ('quality_results', 'what a run found'),
  ('outbox', 'messages on their way'),
  ('idempotency_keys', 'answers to requests that are repeated'),
  ('waiting_fires', 'the engine''s; times that wait for a run'),
  ('webhook_receipts', 'the engine''s; events that were taken'),
  ('dataset_versions', 'made and dropped by runs; the dataset''s entry says which one people see'),
  ('pipeline_versions', 'written only with its pipeline, whose entry names the version'),
  ('schedules', 'part of a pipeline''s definition, saved with its version; moved on by the engine'),
  ('trigger_sources', 'part of a pipeline''s definition, saved with its version'),
  ('data_keys', 'made by itself with a tenant''s first secret'),
  ('sessions', 'its beginnings and ends are entries; its exchanges of tokens are not');
--> statement-breakpoint
grant select, insert on app.unaudited to weir_system;
--> statement-breakpoint
-- Has the changes of a table noted. What is not said comes from its columns: "id" or the rest of the primary key, "name", and
-- as hidden whatever looks like a secret.
create procedure app.audited(target regclass, p_kind text default null, p_jobs boolean default false, p_silent text[] default '{}')
language plpgsql
as $$
declare
  columns text[];
  bare text := split_part(target::text, '.', greatest(1, array_length(string_to_array(target::text, '.'), 1)));
  key_columns text[];
  hidden text[];
begin
  select array_agg(attname::text order by attnum) into columns from pg_attribute
  where attrelid = target and attnum > 0 and not attisdropped;
  select array_agg(a.attname::text order by k.n) into key_columns
  from pg_index i, unnest(i.indkey) with ordinality as k(attnum, n)
  join pg_attribute a on a.attrelid = target and a.attnum = k.attnum
  where i.indrelid = target and i.indisprimary and (a.attname <> 'tenant_id' or i.indnkeyatts = 1);
  select coalesce(array_agg(c), '{}') into hidden from unnest(columns) c
  where c ~* 'secret|passw|token|hash|private|credential|sealed';
  execute format('create or replace trigger audit after insert or update or delete on %s for each row
    execute function app.audit(%L, %L, %L, %L, %L, %L)', target,
    coalesce(p_kind, replace(regexp_replace(regexp_replace(bare, 'ies$', 'ys'), 's$', ''), '_', '-')),
    array_to_string(case when 'id' = any(columns) then '{id}' else key_columns end, ','),
    case when 'name' = any(columns) then 'name' when 'email' = any(columns) then 'email' when 'title' = any(columns) then 'title' else '' end,
    array_to_string(hidden, ','),
    array_to_string('{tenant_id,id,version,created_at,updated_at,last_used_at,last_used_from,used_at,looked_at}'::text[] || p_silent, ','),
    case when p_jobs then 'jobs' else '' end);
end
$$;
--> statement-breakpoint
do $$
declare
  t record;
begin
  for t in
    select c.oid::regclass as name, s.kind, coalesce(s.jobs, false) as jobs, coalesce(s.silent, '{}') as silent
    from pg_class c
    join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
    left join (values
      ('tenants', 'tenant', true, '{forgotten_at,over_quota,metered_at}'::text[]),
      ('memberships', 'member', false, '{}'),
      ('connections', 'connection', true, '{failures,rests_until}'),
      ('datasets', 'dataset', true, '{}'),
      ('pipelines', 'pipeline', true, '{paused_by}'),
      ('triggers', 'trigger', true, '{}'),
      ('sso_domains', 'sso-domain', true, '{next_look_at,missing_since,misses}'),
      ('backfills', 'backfill', true, '{times,taken,skipped,running,succeeded,failed,cancelled,finished_at}'),
      ('channels', 'channel', true, '{failure}'),
      ('audit_streams', 'audit-stream', false, '{cursor,attempts,next_attempt_at,failure}'),
      ('dead_letters', 'dead-letter', true, '{resolved_at}'),
      ('alerts', 'alert', true, '{resolved_at}')
    ) as s(name, kind, jobs, silent) on s.name = c.relname
    where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace
      and not exists (select from app.unaudited u where u.name = c.relname)
  loop
    call app.audited(t.name, t.kind, t.jobs, t.silent);
  end loop;
end
$$;
--> statement-breakpoint
-- These are made and mostly moved by the engine; what a person says of them is a change of these columns.
create or replace trigger audit after update on public.dead_letters for each row
  when (old.resolved_by is distinct from new.resolved_by)
  execute function app.audit('dead-letter', 'id', '', '', 'tenant_id,id,created_at,resolved_at', 'jobs');
--> statement-breakpoint
create or replace trigger audit after update on public.alerts for each row
  when (old.resolved_by is distinct from new.resolved_by)
  execute function app.audit('alert', 'id', '', '', 'tenant_id,id,at,resolved_at', 'jobs');
--> statement-breakpoint
-- Of the other triggers of a pipeline only the secrets change by themselves.
create or replace trigger audit after update on public.triggers for each row
  when (old.secrets is distinct from new.secrets)
  execute function app.audit('trigger', 'id', 'key', 'secrets', 'tenant_id,id,created_at', 'jobs');
--> statement-breakpoint
-- Who somebody is, in words, is not what the log is for: it could not be taken out again when the person asks for that.
create or replace trigger audit after insert or update or delete on public.scim_users for each row
  execute function app.audit('scim-user', 'user_id', '', 'user_name,email,external_id,display_name,given_name,family_name,attributes',
    'tenant_id,user_id,version,created_at,updated_at', '');
--> statement-breakpoint
create or replace trigger audit after insert or update or delete on public.sso_identities for each row
  execute function app.audit('sso-identity', 'user_id', '', 'subject', 'tenant_id,user_id,created_at,used_at', '');
--> statement-breakpoint
-- A session is a family of tokens: its first one opens it, and it ends with the one that is live.
create function app.audit_session() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'INSERT' then
    perform app.note(new.tenant_id, new.user_id, 'session.open', 'session', new.family_id,
      jsonb_strip_nulls(jsonb_build_object('credential', new.family_id, 'address', to_jsonb(new)->'address',
        'userAgent', to_jsonb(new)->'user_agent', 'by', to_jsonb(new)->'amr')));
  else
    perform app.note(new.tenant_id, case when app.tenant_id() is null then new.user_id else app.actor() end,
      'session.end', 'session', new.family_id, jsonb_build_object('user', new.user_id));
  end if;
  return null;
end
$$;
--> statement-breakpoint
create trigger audit_open after insert on public.sessions for each row when (new.id = new.family_id)
  execute function app.audit_session();
--> statement-breakpoint
create trigger audit_end after update of revoked_at on public.sessions for each row
  when (old.revoked_at is null and new.revoked_at is not null and new.rotated_at is null)
  execute function app.audit_session();
--> statement-breakpoint
-- What a hash is made of. The Worker's verification writes this out again, so that it does not trust this function.
create function app.audit_canonical(e public.audit_entries, p_seq bigint) returns text
language sql stable
as $$
  select jsonb_build_array(e.tenant_id, p_seq, e.id, to_char(e.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    e.actor, e.actor_kind, e.action, e.target_kind, e.target_id, e.target_name, e.address, e.user_agent, e.credential,
    e.request_id, e.records, e.details)::text
$$;
--> statement-breakpoint
-- Seals what is not sealed yet, at most p_limit entries: one sealer a tenant, numbers without gaps, each hash over the one
-- before it. Returns how many; heads that are to be signed are app.unsigned_heads' to tell.
create function app.seal_audit(p_limit integer) returns integer
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  waiting text;
  h public.audit_heads;
  e public.audit_entries;
  ids bigint[];
  hashes bytea[];
  sealed integer := 0;
  now_sealed timestamptz;
begin
  for waiting in select distinct a.tenant_id from public.audit_entries a where a.seq is null loop
    exit when sealed >= p_limit;
    insert into public.audit_heads (tenant_id, hash) values (waiting, sha256(convert_to('weir audit 1' || chr(10) || waiting, 'UTF8')))
    on conflict do nothing;
    select * into h from public.audit_heads where tenant_id = waiting for no key update skip locked;
    continue when not found;
    now_sealed := clock_timestamp();
    ids := '{}';
    hashes := '{}';
    for e in
      select * from public.audit_entries a where a.tenant_id = waiting and a.seq is null
      order by a.id limit p_limit - sealed
    loop
      h.seq := h.seq + 1;
      h.hash := sha256(h.hash || convert_to(app.audit_canonical(e, h.seq), 'UTF8'));
      ids := array_append(ids, e.id);
      hashes := array_append(hashes, h.hash);
    end loop;
    update public.audit_entries a set seq = h.seq - cardinality(ids) + s.n, hash = s.hash, sealed_at = now_sealed
    from rows from (unnest(ids), unnest(hashes)) with ordinality as s(id, hash, n)
    where a.tenant_id = waiting and a.id = s.id;
    update public.audit_heads set seq = h.seq, hash = h.hash, sealed_at = now_sealed where tenant_id = waiting;
    sealed := sealed + cardinality(ids);
  end loop;
  return sealed;
end
$$;
--> statement-breakpoint
-- Heads that nobody has signed as they are, or not with the key p_key: {"tenantId","seq","hash","signed","anchor"}, with the
-- last signatures. One whose last signature is not good is not signed again, and not offered for longer than a day.
create function app.unsigned_heads(p_key text, p_limit integer) returns setof jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object('tenantId', h.tenant_id, 'seq', h.seq, 'hash', encode(h.hash, 'hex'), 'signed', h.signed, 'anchor', h.anchor)
  from public.audit_heads h
  where h.seq > 0 and h.sealed_at > now() - interval '1 day' and (h.signed->>'seq')::bigint is distinct from h.seq
    or h.signed->>'keyId' <> p_key or h.anchor->>'keyId' <> p_key
  order by h.sealed_at limit p_limit
$$;
--> statement-breakpoint
-- Keeps signatures of what still is as it was signed: [{"tenantId","signed","anchor"}], both {"seq","hash","at","keyId","signature"}.
create function app.sign_heads(p_signed jsonb) returns void
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
  update public.audit_heads h
  set signed = s->'signed', anchor = coalesce(nullif(s->'anchor', 'null'), h.anchor)
  from jsonb_array_elements(p_signed) s
  where h.tenant_id = s->>'tenantId' and h.seq = (s->'signed'->>'seq')::bigint and encode(h.hash, 'hex') = s->'signed'->>'hash'
    and h.anchor_seq = coalesce((s->'anchor'->>'seq')::bigint, h.anchor_seq)
$$;
--> statement-breakpoint
-- The last entry that a tenant's retention has done with, of the oldest p_limit; null when there is none.
create function app.audit_horizon(p_tenant text, p_limit integer) returns bigint
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select max(seq) from (
    select e.seq, bool_and(e.at < now() - (to_jsonb(t)->>'audit_retention_days')::integer * interval '1 day')
      over (order by e.seq) as is_over
    from public.tenants t
    join public.audit_heads h on h.tenant_id = t.tenant_id
    cross join lateral (
      select o.seq, o.at from public.audit_entries o
      where o.tenant_id = h.tenant_id and o.seq > h.anchor_seq order by o.seq limit p_limit) e
    where t.tenant_id = p_tenant and exists (
      select from public.audit_entries f
      where f.tenant_id = h.tenant_id and f.seq = h.anchor_seq + 1
        and f.at < now() - (to_jsonb(t)->>'audit_retention_days')::integer * interval '1 day')) oldest
  where is_over
$$;
--> statement-breakpoint
-- What retention may take now, of the tenants that were longest not looked at: {"tenantId","seq","hash","anchor"}.
create function app.audit_prunable(p_tenants integer, p_limit integer) returns setof jsonb
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
  with due as (
    update public.audit_heads set looked_at = clock_timestamp()
    where tenant_id in (
      select h.tenant_id from public.audit_heads h
      where h.looked_at is null or h.looked_at < clock_timestamp() - interval '50 s'
      order by h.looked_at nulls first limit p_tenants for no key update skip locked)
    returning tenant_id, anchor)
  select jsonb_build_object('tenantId', e.tenant_id, 'seq', e.seq, 'hash', encode(e.hash, 'hex'), 'anchor', due.anchor)
  from due join public.audit_entries e on e.tenant_id = due.tenant_id and e.seq = app.audit_horizon(due.tenant_id, p_limit)
$$;
--> statement-breakpoint
-- Takes the oldest entries up to the one that the signed anchor {"seq","hash","at","keyId","signature"} names, where their
-- time is over; the chain begins after it from then on. Returns how many.
create function app.prune_audit(p_tenant text, p_anchor jsonb, p_limit integer) returns integer
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  upto bigint := (p_anchor->>'seq')::bigint;
  gone integer;
begin
  perform from public.audit_heads where tenant_id = p_tenant for no key update;
  if upto > app.audit_horizon(p_tenant, p_limit) is not false or not exists (
    select from public.audit_entries where tenant_id = p_tenant and seq = upto and encode(hash, 'hex') = p_anchor->>'hash')
  then
    return 0;
  end if;
  perform set_config('app.audit_pruning', p_tenant, true);
  delete from public.audit_entries where tenant_id = p_tenant and seq <= upto;
  get diagnostics gone = row_count;
  perform set_config('app.audit_pruning', '', true);
  update public.audit_heads set anchor_seq = upto, anchor = p_anchor where tenant_id = p_tenant;
  return gone;
end
$$;
--> statement-breakpoint
-- Streams that have something to deliver and may try now; each is handed out to one tick a minute.
create function app.due_audit_streams(p_limit integer) returns setof jsonb
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
  update public.audit_streams u set next_attempt_at = clock_timestamp() + interval '50 s'
  from (
    select s.tenant_id, s.id from public.audit_streams s
    join public.audit_heads h on h.tenant_id = s.tenant_id and h.seq > s.cursor
    where s.disabled_at is null and s.next_attempt_at <= clock_timestamp()
    order by s.next_attempt_at limit p_limit for no key update of s skip locked) due
  where u.tenant_id = due.tenant_id and u.id = due.id
  returning jsonb_build_object('tenantId', u.tenant_id, 'streamId', u.id)
$$;
--> statement-breakpoint
do $$
declare
  f regprocedure;
begin
  foreach f in array array[
    'app.note(text,text,text,text,text,jsonb)', 'app.note_own(text,text,text,jsonb)', 'app.note_refused_sign_in(text,text,jsonb)', 'app.audit()', 'app.audit_session()',
    'app.seal_audit(integer)', 'app.unsigned_heads(text,integer)', 'app.sign_heads(jsonb)', 'app.audit_horizon(text,integer)',
    'app.audit_prunable(integer,integer)', 'app.prune_audit(text,jsonb,integer)', 'app.is_ending(text)',
    'app.due_audit_streams(integer)']::regprocedure[]
  loop
    execute format('alter function %s owner to weir_system', f);
    execute format('revoke all on function %s from public', f);
  end loop;
  foreach f in array array[
    'app.note_own(text,text,text,jsonb)', 'app.note_refused_sign_in(text,text,jsonb)', 'app.seal_audit(integer)', 'app.unsigned_heads(text,integer)', 'app.sign_heads(jsonb)',
    'app.audit_prunable(integer,integer)', 'app.prune_audit(text,jsonb,integer)', 'app.due_audit_streams(integer)']::regprocedure[]
  loop
    execute format('grant execute on function %s to weir_app', f);
  end loop;
end
$$;
--> statement-breakpoint
grant execute on function app.note(text, text, text, text, text, jsonb) to weir_engine;
--> statement-breakpoint
revoke create on schema app from weir_system;
