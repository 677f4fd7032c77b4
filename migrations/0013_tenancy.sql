-- Who is in a tenant, how they come and go, what a tenant has decided about itself, and how it ends.

grant create on schema app to weir_system, weir_engine;
--> statement-breakpoint
alter table public.tenants
  add column version integer not null default 1,
  -- A person's id, or 'platform': then nobody in the tenant can lift it.
  add column suspended_by text,
  add column suspended_reason text,
  add column deletion_by text,
  add column log_retention_days integer check (log_retention_days > 0),
  -- The logs of runs that ended before this have gone.
  add column logs_forgotten_to timestamptz;
--> statement-breakpoint
create index tenants_leaving on public.tenants (deletes_at) where deletes_at is not null;
--> statement-breakpoint
create index tenants_suspended on public.tenants (tenant_id) where suspended_at is not null;
--> statement-breakpoint
grant update (name, request_limits, origins, ip_allow, mfa_roles, settings, audit_retention_days, log_retention_days)
  on public.tenants to weir_app;
--> statement-breakpoint
-- The version that an ETag shows: of what the tenant decides, and not of what the tick notes.
create function app.count_tenant_version() returns trigger
language plpgsql
as $$
begin
  new.version := old.version + 1;
  return new;
end
$$;
--> statement-breakpoint
create trigger count_version before update on public.tenants for each row
when ((old.name, old.concurrency, old.max_run_ms, old.retention_days, old.log_retention_days, old.audit_retention_days,
    old.request_limits, old.origins, old.ip_allow, old.mfa_roles, old.require_sso, old.settings, old.suspended_at, old.deletes_at)
  is distinct from (new.name, new.concurrency, new.max_run_ms, new.retention_days, new.log_retention_days, new.audit_retention_days,
    new.request_limits, new.origins, new.ip_allow, new.mfa_roles, new.require_sso, new.settings, new.suspended_at, new.deletes_at))
execute function app.count_tenant_version();
--> statement-breakpoint
-- Where the tenant's own Vault, Airflow or GitLab is and what opens it, sealed.
create table public.integrations (
  tenant_id text not null,
  kind text not null,
  address text not null,
  options jsonb not null default '{}',
  secret text,
  version integer not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint integrations_tenant_id_kind_pk primary key (tenant_id, kind),
  constraint integrations_tenant foreign key (tenant_id) references public.tenants (tenant_id),
  constraint integrations_kind check (kind in ('vault', 'airflow', 'gitlab'))
);
--> statement-breakpoint
call app.wall('public.integrations');
--> statement-breakpoint
grant select, insert, update, delete on public.integrations to weir_app;
--> statement-breakpoint
create table public.invitations (
  tenant_id text not null,
  id text not null,
  email text not null,
  role text not null,
  teams text[] not null default '{}',
  -- [{"id","level"}]: what they may do there, whatever the role.
  projects jsonb not null default '[]',
  token_hash text not null,
  invited_by text not null,
  created_at timestamptz not null default now(),
  sent_at timestamptz not null default now(),
  sends smallint not null default 1,
  expires_at timestamptz not null,
  used_at timestamptz,
  used_by text,
  revoked_at timestamptz,
  constraint invitations_tenant_id_id_pk primary key (tenant_id, id),
  constraint invitations_tenant foreign key (tenant_id) references public.tenants (tenant_id)
);
--> statement-breakpoint
create unique index invitations_token on public.invitations (token_hash);
--> statement-breakpoint
create unique index invitations_open on public.invitations (tenant_id, lower(email)) where used_at is null and revoked_at is null;
--> statement-breakpoint
create index invitations_over on public.invitations (expires_at);
--> statement-breakpoint
call app.wall('public.invitations');
--> statement-breakpoint
grant select (tenant_id, id, email, role, teams, projects, invited_by, created_at, sent_at, sends, expires_at, used_at, used_by, revoked_at)
  on public.invitations to weir_app;
--> statement-breakpoint
-- Who has left, for as long as what they did is kept under their id.
create table public.former_members (
  tenant_id text not null,
  user_id text not null,
  role text not null,
  joined_at timestamptz not null,
  left_at timestamptz not null default now(),
  anonymised_at timestamptz,
  constraint former_members_tenant_id_user_id_pk primary key (tenant_id, user_id),
  constraint former_members_tenant foreign key (tenant_id) references public.tenants (tenant_id)
);
--> statement-breakpoint
call app.wall('public.former_members');
--> statement-breakpoint
grant select on public.former_members to weir_app;
--> statement-breakpoint
-- A project that is done with: what is in it stays, and nothing comes in any more.
alter table public.projects add column archived_at timestamptz;
--> statement-breakpoint
-- What remains of a tenant that was erased: how much went, and nothing of what it was.
create table app.erasures (
  tenant text primary key,
  asked_at timestamptz not null default now(),
  stage text not null default 'runs' check (stage in ('runs', 'objects', 'keys', 'people', 'rows', 'check', 'done')),
  cursor text,
  busy_until timestamptz,
  counts jsonb not null default '{}',
  finished_at timestamptz
);
--> statement-breakpoint
revoke all on app.erasures from public;
--> statement-breakpoint
grant select, insert, update on app.erasures to weir_system;
--> statement-breakpoint
create index erasures_open on app.erasures (asked_at) where finished_at is null;
--> statement-breakpoint
alter table public.users add column erased_at timestamptz;
--> statement-breakpoint
-- Whether the tenant's rows are being taken away: what triggers would note of that goes with them.
create function app.is_erasing(p_tenant text) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$ select exists (select from app.erasures where tenant = p_tenant) $$;
--> statement-breakpoint
create function app.note_coming_and_going() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'INSERT' then
    delete from public.former_members where tenant_id = new.tenant_id and user_id = new.user_id;
  elsif not app.is_erasing(old.tenant_id) then
    insert into public.former_members (tenant_id, user_id, role, joined_at) values (old.tenant_id, old.user_id, old.role, old.created_at)
    on conflict (tenant_id, user_id) do update set role = excluded.role, joined_at = excluded.joined_at, left_at = now(), anonymised_at = null;
    -- What somebody offered who is no longer here is not offered any more.
    update public.invitations set revoked_at = now()
    where tenant_id = old.tenant_id and invited_by = old.user_id and used_at is null and revoked_at is null;
  end if;
  return null;
end
$$;
--> statement-breakpoint
create trigger note_coming_and_going after insert or delete on public.memberships for each row
execute function app.note_coming_and_going();
--> statement-breakpoint
-- What a function answers that does not let its caller do it: noted in the same transaction.
create function app.refused(p_why text, p_kind text, p_id text) returns jsonb
language plpgsql
as $$
begin
  perform app.note_own('access.refused', p_kind, p_id, jsonb_build_object('reason', p_why));
  return jsonb_build_object('refused', p_why);
end
$$;
--> statement-breakpoint
-- The caller's tenant, its membership held until the transaction ends: changes of it come one after the other.
create function app.hold_members() returns text
language plpgsql
as $$
declare
  tenant text := app.tenant_id();
begin
  if tenant is null then
    raise exception 'no tenant' using errcode = '42501';
  end if;
  perform from public.tenants where tenant_id = tenant for no key update;
  -- Provisioning holds the owners alone.
  perform from public.memberships where tenant_id = tenant and role = 'owner' order by user_id for no key update;
  return tenant;
end
$$;
--> statement-breakpoint
-- The hashes of a person's own keys, in one tenant or with null in all.
create function app.keys_of(p_user text, p_tenant text) returns jsonb
language plpgsql stable
as $$
begin
  return (select coalesce(jsonb_agg(key_hash), '[]') from public.api_keys
    where user_id = p_user and revoked_at is null and (p_tenant is null or tenant_id = p_tenant));
end
$$;
--> statement-breakpoint
-- Gives a member another role, or with null takes them out. Only owners touch what owners are, as they are at this moment,
-- and one owner stays. p_was is the role that the caller has seen. {"keys": the hashes of their keys} | {"refused": 'changed' |
-- 'owners_only' | 'last_owner'}; null without such a member.
create function app.change_member(p_user text, p_role text, p_was text) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.hold_members();
  had text;
  keys jsonb;
begin
  -- Everybody may go.
  if p_role is not null or p_user <> app.actor() then
    perform app.need('M', 'members:write');
  end if;
  select role into had from public.memberships where tenant_id = tenant and user_id = p_user;
  if not found then
    return null;
  elsif had <> p_was then
    return '{"refused": "changed"}';
  end if;
  if 'owner' in (had, coalesce(p_role, '')) and not exists (
    select from public.memberships where tenant_id = tenant and user_id = app.actor() and role = 'owner'
  ) then
    return app.refused('owners_only', 'member', p_user);
  end if;
  if had = 'owner' and p_role is distinct from 'owner' and not exists (
    select from public.memberships where tenant_id = tenant and role = 'owner' and user_id <> p_user
  ) then
    return '{"refused": "last_owner"}';
  end if;
  keys := app.keys_of(p_user, tenant);
  if p_role is null then
    delete from public.memberships where tenant_id = tenant and user_id = p_user;
  else
    update public.memberships set role = p_role where tenant_id = tenant and user_id = p_user;
    update public.invitations set revoked_at = now()
    where tenant_id = tenant and invited_by = p_user and used_at is null and revoked_at is null and p_role <> had;
  end if;
  return jsonb_build_object('keys', keys);
end
$$;
--> statement-breakpoint
-- Makes another member the owner and the caller, who is one now, an admin. {"refused": 'owners_only'}; null without such a member.
create function app.transfer_tenant(p_user text) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.hold_members();
begin
  if not exists (select from public.memberships where tenant_id = tenant and user_id = p_user and p_user <> app.actor()) then
    return null;
  end if;
  if not exists (select from public.memberships where tenant_id = tenant and user_id = app.actor() and role = 'owner') then
    return app.refused('owners_only', 'member', p_user);
  end if;
  update public.memberships set role = case user_id when p_user then 'owner' else 'admin' end
  where tenant_id = tenant and user_id in (p_user, app.actor());
  return '{}';
end
$$;
--> statement-breakpoint
-- The tenant's people, in the order of their ids. p_filter, all optional: {"role", "email" (a part of it), "team"}.
create function app.members(p_filter jsonb, p_after text, p_limit integer) returns jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(jsonb_agg(jsonb_build_object('userId', m.user_id, 'email', m.email, 'role', m.role, 'joinedAt', m.created_at)
    order by m.user_id), '[]')
  from (
    select m.user_id, u.email, m.role, m.created_at
    from public.memberships m join public.users u on u.id = m.user_id
    where m.tenant_id = app.tenant_id() and (app.may_any('mM') or m.user_id = app.actor())
      and (p_after is null or m.user_id > p_after)
      and (not p_filter ? 'id' or m.user_id = p_filter->>'id')
      and (not p_filter ? 'role' or m.role = p_filter->>'role')
      and (not p_filter ? 'email' or strpos(lower(u.email), lower(p_filter->>'email')) > 0)
      and (not p_filter ? 'team' or exists (
        select from public.team_members t
        where t.tenant_id = m.tenant_id and t.user_id = m.user_id and t.team_id = p_filter->>'team'))
    order by m.user_id limit p_limit) m
$$;
--> statement-breakpoint
-- Notes an invitation by the caller, who is a person with a proved address. {"tenantName", "inviter"} | {"refused":
-- 'unverified' | 'owners_only' | 'member' | 'open' | 'too_many' | 'team' | 'project'}.
create function app.invite(p_id text, p_email text, p_role text, p_teams text[], p_projects jsonb, p_token_hash text, p_expires timestamptz)
returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.hold_members();
  inviter record;
begin
  perform app.need('M', 'members:write');
  select u.email, u.email_verified_at, m.role, t.name into inviter
  from public.memberships m
  join public.users u on u.id = m.user_id
  join public.tenants t on t.tenant_id = m.tenant_id
  where m.tenant_id = tenant and m.user_id = app.actor();
  if inviter.email_verified_at is null then
    return app.refused('unverified', 'invitation', p_id);
  elsif p_role = 'owner' and inviter.role <> 'owner' then
    return app.refused('owners_only', 'invitation', p_id);
  elsif exists (
    select from public.memberships m join public.users u on u.id = m.user_id
    where m.tenant_id = tenant and lower(u.email) = lower(p_email)
  ) then
    return '{"refused": "member"}';
  elsif exists (select from unnest(p_teams) w(id) where not exists (
    select from public.teams t where t.tenant_id = tenant and t.id = w.id)) then
    return '{"refused": "team"}';
  elsif exists (select from jsonb_to_recordset(p_projects) as w(id text) where not exists (
    select from public.projects p where p.tenant_id = tenant and p.id = w.id and p.archived_at is null)) then
    return '{"refused": "project"}';
  end if;
  update public.invitations set revoked_at = expires_at
  where tenant_id = tenant and expires_at <= now() and used_at is null and revoked_at is null;
  if (select count(*) from public.invitations where tenant_id = tenant and used_at is null and revoked_at is null) >= 200 then
    return '{"refused": "too_many"}';
  end if;
  insert into public.invitations (tenant_id, id, email, role, teams, projects, token_hash, invited_by, expires_at)
  values (tenant, p_id, p_email, p_role, p_teams, p_projects, p_token_hash, app.actor(), p_expires)
  on conflict do nothing;
  if not found then
    return '{"refused": "open"}';
  end if;
  return jsonb_build_object('tenantName', inviter.name, 'inviter', inviter.email);
end
$$;
--> statement-breakpoint
-- Gives an open invitation another token, so that the one sent before is worth nothing. {"email", "tenantName", "inviter"},
-- {"refused": 'unverified' | 'too_many'}; null without such an open one.
create function app.renew_invitation(p_id text, p_token_hash text, p_expires timestamptz) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.hold_members();
  inviter record;
  sent record;
begin
  perform app.need('M', 'members:write');
  select u.email, u.email_verified_at, t.name into inviter
  from public.users u join public.tenants t on t.tenant_id = tenant
  where u.id = app.actor();
  if inviter.email_verified_at is null then
    return app.refused('unverified', 'invitation', p_id);
  end if;
  update public.invitations
  set token_hash = p_token_hash, expires_at = p_expires, sent_at = now(), sends = sends + 1
  where tenant_id = tenant and id = p_id and used_at is null and revoked_at is null and sends < 10
  returning email into sent;
  if not found then
    return (select '{"refused": "too_many"}'::jsonb from public.invitations
      where tenant_id = tenant and id = p_id and used_at is null and revoked_at is null);
  end if;
  return jsonb_build_object('email', sent.email, 'tenantName', inviter.name, 'inviter', inviter.email);
end
$$;
--> statement-breakpoint
create function app.revoke_invitation(p_id text) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform app.need('M', 'members:write');
  update public.invitations set revoked_at = now()
  where tenant_id = app.tenant_id() and id = p_id and used_at is null and revoked_at is null;
  return found;
end
$$;
--> statement-breakpoint
-- An invitation that can still be used, by its token: whoever has that has read the mail.
-- {"tenantId", "tenantName", "email", "role", "expiresAt", "hasAccount"} or null.
create function app.find_invitation(p_token_hash text) returns jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object('tenantId', i.tenant_id, 'tenantName', t.name, 'email', i.email, 'role', i.role,
    'expiresAt', i.expires_at, 'hasAccount', exists (select from public.users u where lower(u.email) = lower(i.email)))
  from public.invitations i join public.tenants t on t.tenant_id = i.tenant_id
  where i.token_hash = p_token_hash and i.used_at is null and i.revoked_at is null and i.expires_at > clock_timestamp()
    and t.suspended_at is null and t.deletes_at is null
$$;
--> statement-breakpoint
-- Uses an invitation, once: for the account p_user, or with a password's hash for a new one under that id. {"tenantId",
-- "tenantName", "email", "role"} | {"refused": 'address' (of another account) | 'account' (there is one) | 'quota'}; null when
-- it cannot be used, whyever.
create function app.use_invitation(p_token_hash text, p_user text, p_password_hash text, p_name text) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  i public.invitations;
  t record;
  known text;
begin
  select * into i from public.invitations
  where token_hash = p_token_hash and used_at is null and revoked_at is null and expires_at > clock_timestamp();
  if not found then
    return null;
  end if;
  select name, over_quota into t from public.tenants
  where tenant_id = i.tenant_id and suspended_at is null and deletes_at is null for no key update;
  if not found then
    return null;
  end if;
  -- What it promised may have been taken back, or been used, while the tenant's row was waited for.
  select * into i from public.invitations
  where tenant_id = i.tenant_id and id = i.id and token_hash = p_token_hash and used_at is null and revoked_at is null for update;
  if not found then
    return null;
  end if;
  select id into known from public.users where lower(email) = lower(i.email);
  if p_password_hash is null and known is distinct from p_user then
    return '{"refused": "address"}';
  elsif p_password_hash is not null and known is not null then
    return '{"refused": "account"}';
  elsif 'members' = any (t.over_quota) or (app.quotas(i.tenant_id)->>'members')::bigint <= (
    select count(*) from public.memberships m where m.tenant_id = i.tenant_id)
  then
    return '{"refused": "quota"}';
  end if;
  perform set_config('app.acting', p_user, true);
  if p_password_hash is not null then
    insert into public.users (id, email, password_hash, name, email_verified_at) values (p_user, i.email, p_password_hash, p_name, now());
  else
    update public.users set email_verified_at = now() where id = p_user and email_verified_at is null;
  end if;
  update public.invitations set used_at = now(), used_by = p_user where tenant_id = i.tenant_id and id = i.id;
  insert into public.memberships (tenant_id, user_id, role) values (i.tenant_id, p_user, i.role) on conflict do nothing;
  insert into public.team_members (tenant_id, team_id, user_id)
  select i.tenant_id, w.id, p_user from public.teams w where w.tenant_id = i.tenant_id and w.id = any (i.teams)
  on conflict do nothing;
  insert into public.grants (tenant_id, id, user_id, project_id, level, created_by)
  select i.tenant_id, app.new_id('gra'), p_user, p.id, w.level, i.invited_by
  from jsonb_to_recordset(i.projects) as w(id text, level text)
  join public.projects p on p.tenant_id = i.tenant_id and p.id = w.id
  on conflict do nothing;
  return jsonb_build_object('tenantId', i.tenant_id, 'tenantName', t.name, 'email', i.email, 'role', i.role);
end
$$;
--> statement-breakpoint
-- The caller's tenants, the one joined first at the top.
create function app.my_tenants() returns jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('id', t.tenant_id, 'name', t.name, 'role', m.role,
    'joinedAt', m.created_at, 'suspendedAt', t.suspended_at, 'deletesAt', t.deletes_at)) order by m.created_at, t.tenant_id), '[]')
  from public.memberships m join public.tenants t on t.tenant_id = m.tenant_id
  where m.user_id = app.actor() and app.tenant_id() is not null
$$;
--> statement-breakpoint
-- A further tenant of the caller's; false when they own as many as somebody may.
create function app.open_tenant(p_tenant text, p_name text) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if app.tenant_id() is null then
    raise exception 'no tenant' using errcode = '42501';
  end if;
  perform from public.users where id = app.actor() for no key update;
  if not found or (select count(*) from public.memberships where user_id = app.actor() and role = 'owner') >= 20 then
    return false;
  end if;
  insert into public.tenants (tenant_id, name) values (p_tenant, p_name);
  insert into public.memberships (tenant_id, user_id, role) values (p_tenant, app.actor(), 'owner');
  return true;
end
$$;
--> statement-breakpoint
-- Suspends a tenant, or with p_by null lets it go on. False when there is no such tenant, or nothing to change.
create function app.set_suspension(p_tenant text, p_by text, p_reason text) returns boolean
language plpgsql volatile
as $$
begin
  update public.tenants
  set suspended_at = case when p_by is not null then now() end, suspended_by = p_by, suspended_reason = p_reason
  where tenant_id = p_tenant and (p_by is not null or suspended_at is not null);
  return found;
end
$$;
--> statement-breakpoint
create function app.is_owner() returns boolean
language sql stable
as $$
  select exists (select from public.memberships where tenant_id = app.tenant_id() and user_id = app.actor() and role = 'owner')
$$;
--> statement-breakpoint
-- An owner suspends the tenant ('suspend', with a reason), lets it go on ('resume'), asks for its end ('delete', with its name,
-- at p_at) or takes that back ('restore'). {"refused": 'owners_only' | 'platform' | 'name' | 'state'}, else {} with "deletesAt".
create function app.move_tenant(p_to text, p_text text, p_at timestamptz) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.hold_members();
  t public.tenants;
begin
  select * into t from public.tenants where tenant_id = tenant;
  if not app.is_owner() then
    return app.refused('owners_only', 'tenant', tenant);
  end if;
  case p_to
    when 'suspend' then
      if t.suspended_at is not null then
        return '{"refused": "state"}';
      end if;
      perform app.set_suspension(tenant, app.actor(), p_text);
    when 'resume' then
      if t.suspended_by = 'platform' then
        return app.refused('platform', 'tenant', tenant);
      elsif not app.set_suspension(tenant, null, null) then
        return '{"refused": "state"}';
      end if;
    when 'delete' then
      if t.name <> p_text then
        return '{"refused": "name"}';
      elsif t.deletes_at is not null then
        return '{"refused": "state"}';
      end if;
      update public.tenants set deletes_at = p_at, deletion_by = app.actor() where tenant_id = tenant;
      return jsonb_build_object('deletesAt', p_at);
    when 'restore' then
      update public.tenants set deletes_at = null, deletion_by = null
      where tenant_id = tenant and deletes_at > now() and not app.is_erasing(tenant);
      if not found then
        return '{"refused": "state"}';
      end if;
  end case;
  return '{}';
end
$$;
--> statement-breakpoint
-- Open runs that nobody wants any more: of tenants that are to end, and of those that the platform has stopped.
create function app.unwanted_runs(p_limit integer) returns table (tenant_id text, run_id text)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select r.tenant_id, r.id
  from public.tenants t join public.runs r on r.tenant_id = t.tenant_id and r.finished_at is null and r.state <> 'cancelling'
  where t.deletes_at is not null or t.suspended_at is not null and t.suspended_by = 'platform'
  union all
  -- Nobody can let a paused pipeline go on that is not there any more.
  select r.tenant_id, r.id
  from public.runs r join public.pipelines p on p.tenant_id = r.tenant_id and p.id = r.pipeline_id
  where r.state = 'queued' and p.deleted_at is not null and p.paused_at is not null
  limit p_limit
$$;
--> statement-breakpoint
-- Schedules of every tenant that fire within p_ahead, each given out once; and again when its time has passed and nobody
-- has fired it. Those of paused pipelines and of tenants at rest keep their time, and what they have missed is for their
-- rule to catch up on.
create or replace function app.due_schedules(p_ahead interval, p_limit integer)
returns table (tenant_id text, id text, cron text, timezone text, days jsonb, has_calendar boolean, catch_up text,
  jitter_ms integer, next_fire_at timestamptz, fires_at timestamptz)
language sql security definer
set search_path = pg_catalog, pg_temp
as $$
  update public.schedules s
  set announced_at = now(), overdue_since = case when s.next_fire_at + s.delay_ms * interval '1 ms' < now() - interval '5 s'
    then coalesce(s.overdue_since, now()) end
  from (
    select t.tenant_id, t.id from public.schedules t
    join public.pipelines p on p.tenant_id = t.tenant_id and p.id = t.pipeline_id
    join public.tenants o on o.tenant_id = t.tenant_id and o.suspended_at is null and o.deletes_at is null
    where t.next_fire_at <= now() + p_ahead and t.next_fire_at + t.delay_ms * interval '1 ms' <= now() + p_ahead
      and (t.announced_at is null
        or t.next_fire_at + t.delay_ms * interval '1 ms' < now() - interval '5 s' and t.announced_at < now() - interval '30 s')
      and p.deleted_at is null and p.paused_at is null
    order by t.next_fire_at limit p_limit
    for no key update of t skip locked) d
  where s.tenant_id = d.tenant_id and s.id = d.id
  returning s.tenant_id, s.id, s.cron, s.timezone,
    (select c.days from public.calendars c where c.tenant_id = s.tenant_id and c.name = s.calendar),
    s.calendar is not null, s.catch_up, s.jitter_ms, s.next_fire_at, s.next_fire_at + s.delay_ms * interval '1 ms'
$$;
--> statement-breakpoint
-- The tables that hold what is a person's own, from the catalogue, so that none is forgotten: those of no tenant, and those
-- that go with the account.
create function app.personal_tables() returns table (name regclass, in_tenant boolean)
language sql stable
as $$
  select c.oid::regclass, t.attnum is not null
  from pg_class c
  join pg_attribute a on a.attrelid = c.oid and a.attname = 'user_id' and not a.attisdropped
  left join pg_attribute t on t.attrelid = c.oid and t.attname = 'tenant_id' and not t.attisdropped
  where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace
    and (t.attnum is null or exists (
      select from pg_constraint f
      where f.conrelid = c.oid and f.contype = 'f' and f.confrelid = 'public.users'::regclass and f.confdeltype = 'c'))
$$;
--> statement-breakpoint
-- A row without what could be used to get in.
create function app.without_secrets(p_row jsonb) returns jsonb
language sql immutable
as $$
  select coalesce(jsonb_object_agg(key, value), '{}') from jsonb_each(p_row)
  where key !~ '(hash|secret|token|sealed|code|public_key|counter)' and value <> 'null'
$$;
--> statement-breakpoint
-- What is kept of the caller: {"account", "memberships", "sessions", "invitations", "own": {table: rows}, "audit"}.
create function app.export_me() returns jsonb
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  me text := app.actor();
  t regclass;
  found jsonb;
  own jsonb := '{}';
  audit jsonb := '[]';
begin
  if app.tenant_id() is null then
    raise exception 'no tenant' using errcode = '42501';
  end if;
  for t in select name from app.personal_tables() loop
    execute format('select coalesce(jsonb_agg(app.without_secrets(to_jsonb(r))), ''[]'') from %s r where user_id = $1', t) into found using me;
    own := own || jsonb_build_object((select relname from pg_class where oid = t), found);
  end loop;
  if to_regclass('public.audit_entries') is not null then
    execute 'select coalesce(jsonb_agg(e.row), ''[]'') from (
      select app.without_secrets(to_jsonb(a)) as row from public.audit_entries a
      where a.actor = $1 and a.tenant_id in (
        select m.tenant_id from public.memberships m where m.user_id = $1
        union select f.tenant_id from public.former_members f where f.user_id = $1)
      order by a.at desc limit 10000) e'
    into audit using me;
  end if;
  return jsonb_build_object(
    'account', (select app.without_secrets(to_jsonb(u)) from public.users u where u.id = me),
    'memberships', (select coalesce(jsonb_agg(jsonb_build_object('tenantId', m.tenant_id, 'tenant', x.name, 'role', m.role,
        'joinedAt', m.created_at)), '[]')
      from public.memberships m join public.tenants x on x.tenant_id = m.tenant_id where m.user_id = me),
    'sessions', (select coalesce(jsonb_agg(app.without_secrets(to_jsonb(s))), '[]') from public.sessions s
      where s.user_id = me and s.rotated_at is null),
    'invitations', (select coalesce(jsonb_agg(jsonb_build_object('tenantId', i.tenant_id, 'email', i.email, 'usedAt', i.used_at)), '[]')
      from public.invitations i where i.used_by = me),
    'own', own, 'audit', audit);
end
$$;
--> statement-breakpoint
-- Makes an account nobody's: what is the person's own goes, from every table that there is, and the row that others point
-- at keeps its id alone.
create function app.erase_account(p_user text) returns void
language plpgsql volatile
as $$
declare
  t regclass;
  forgotten text;
begin
  delete from public.memberships where user_id = p_user;
  for t in select name from app.personal_tables() loop
    execute format('delete from %s where user_id = $1', t) using p_user;
  end loop;
  select string_agg(format('%I = default', a.attname), ', ') into forgotten from pg_attribute a
  where a.attrelid = 'public.users'::regclass and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    and a.attname not in ('id', 'email', 'created_at', 'erased_at');
  execute format('update public.users set email = id || ''@erased.invalid'', erased_at = now()%s where id = $1',
    coalesce(', ' || forgotten, '')) using p_user;
end
$$;
--> statement-breakpoint
-- Erases the caller. {"tenants": the names of those that have no other owner} when that must not be, else {"left": the ids of
-- the tenants, "keys": the hashes of their keys}.
create function app.erase_me() returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  me text := app.actor();
  alone jsonb;
  tenants jsonb;
  keys jsonb := app.keys_of(me, null);
begin
  if app.tenant_id() is null or not exists (select from public.users where id = me and erased_at is null) then
    raise exception 'no tenant' using errcode = '42501';
  end if;
  perform from public.tenants t
  where t.tenant_id in (select m.tenant_id from public.memberships m where m.user_id = me) order by t.tenant_id for no key update;
  perform from public.memberships o
  where o.role = 'owner' and o.tenant_id in (select m.tenant_id from public.memberships m where m.user_id = me)
  order by o.tenant_id, o.user_id for no key update;
  select jsonb_agg(t.name order by t.name) into alone
  from public.memberships m join public.tenants t on t.tenant_id = m.tenant_id
  where m.user_id = me and m.role = 'owner' and t.deletes_at is null
    and not exists (
      select from public.memberships o where o.tenant_id = m.tenant_id and o.role = 'owner' and o.user_id <> me);
  if alone is not null then
    return jsonb_build_object('tenants', alone);
  end if;
  select coalesce(jsonb_agg(tenant_id), '[]') into tenants from public.memberships where user_id = me;
  perform app.forget_person(m.tenant_id, me) from (
    select tenant_id from public.memberships where user_id = me union select tenant_id from public.former_members where user_id = me) m;
  perform app.erase_account(me);
  return jsonb_build_object('left', tenants, 'keys', keys);
end
$$;
--> statement-breakpoint
-- Takes who a person is out of what a tenant keeps about them.
create function app.forget_person(p_tenant text, p_user text) returns void
language plpgsql volatile
as $$
declare
  t regclass;
begin
  for t in select name from app.personal_tables() where in_tenant loop
    execute format('delete from %s where tenant_id = $1 and user_id = $2', t) using p_tenant, p_user;
  end loop;
  update public.invitations i set email = 'erased', revoked_at = case when used_at is null then coalesce(revoked_at, now()) else revoked_at end
  where i.tenant_id = p_tenant and (i.used_by = p_user or lower(i.email) = (select lower(u.email) from public.users u where u.id = p_user));
end
$$;
--> statement-breakpoint
-- Forgets who somebody was who has left the tenant; their account goes too when it is in no other. False without such a person.
create function app.anonymise_former(p_user text) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.hold_members();
begin
  perform app.need('V', 'privacy:write');
  update public.former_members set anonymised_at = coalesce(anonymised_at, now()) where tenant_id = tenant and user_id = p_user;
  if not found then
    return false;
  end if;
  perform app.forget_person(tenant, p_user);
  perform from public.users where id = p_user for no key update;
  if not exists (select from public.memberships where user_id = p_user) then
    perform app.erase_account(p_user);
  end if;
  return true;
end
$$;
--> statement-breakpoint
-- Takes up one tenant whose time is over, or goes on with one: {"tenant", "stage", "cursor", "askedAt"} or null. Nobody else gets
-- it until p_lease is over or its stage was noted.
create function app.next_erasure(p_lease interval) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  e app.erasures;
begin
  insert into app.erasures (tenant)
  select tenant_id from public.tenants where deletes_at <= now()
  on conflict do nothing;
  update app.erasures set busy_until = now() + p_lease
  where tenant = (
    select tenant from app.erasures where finished_at is null and (busy_until is null or busy_until <= clock_timestamp())
    order by busy_until nulls first, asked_at limit 1 for update skip locked)
  returning * into e;
  if not found then
    return null;
  end if;
  return jsonb_build_object('tenant', e.tenant, 'stage', e.stage, 'cursor', e.cursor, 'askedAt', e.asked_at);
end
$$;
--> statement-breakpoint
-- Notes how far an erasure has come, how much has gone ({"table": count}), and how long to leave it alone.
create function app.note_erasure(p_tenant text, p_stage text, p_cursor text, p_counts jsonb, p_wait interval) returns void
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
  update app.erasures e
  set stage = p_stage, cursor = p_cursor, busy_until = clock_timestamp() + p_wait, finished_at = case when p_stage = 'done' then now() end,
    counts = e.counts || coalesce((
      select jsonb_object_agg(c.key, c.value::bigint + coalesce((e.counts->>c.key)::bigint, 0)) from jsonb_each_text(p_counts) c
      where c.value::bigint > 0), '{}')
  where e.tenant = p_tenant and e.finished_at is null
$$;
--> statement-breakpoint
-- Erases the accounts that have been in no other tenant, at most p_limit of them. Returns how many.
create function app.erase_people(p_tenant text, p_limit integer) returns integer
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  someone text;
  gone integer := 0;
begin
  if not exists (select from app.erasures where tenant = p_tenant and finished_at is null) then
    return 0;
  end if;
  for someone in
    select m.user_id from public.memberships m
    where m.tenant_id = p_tenant and not exists (
      select from public.memberships o where o.user_id = m.user_id and o.tenant_id <> p_tenant)
    order by m.user_id limit p_limit
  loop
    perform from public.users where id = someone for no key update;
    if not exists (select from public.memberships where user_id = someone and tenant_id <> p_tenant) then
      perform app.erase_account(someone);
      gone := gone + 1;
    end if;
  end loop;
  return gone;
end
$$;
--> statement-breakpoint
-- Every table that holds tenants' rows, from the catalogue, those first that point at others. What is made tomorrow is here.
create function app.tenant_tables() returns table (name regclass, depth integer)
language sql stable
as $$
  with recursive held as (
    select c.oid from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
    where c.relkind = 'r' and c.relnamespace in ('public'::regnamespace, 'app'::regnamespace)
  ), deep as (
    select oid, 0 as depth from held
    union
    select f.conrelid, d.depth + 1 from deep d
    join pg_constraint f on f.confrelid = d.oid and f.contype = 'f' and f.conrelid <> f.confrelid
    join held h on h.oid = f.conrelid
    where d.depth < 40)
  select d.oid::regclass, max(d.depth) from deep d group by d.oid order by max(d.depth) desc, d.oid
$$;
--> statement-breakpoint
-- The next piece of an erasure: some tables of its datasets, then some p_limit rows. {"table": count}; {} when nothing is left.
create function app.erase_rows(p_tenant text, p_limit integer) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  t regclass;
  n bigint;
  left_over bigint := p_limit;
  counts jsonb := '{}';
begin
  if not exists (select from app.erasures where tenant = p_tenant and finished_at is null) then
    return counts;
  end if;
  for t in
    select distinct p.polrelid::regclass from pg_policy p join pg_class c on c.oid = p.polrelid
    where c.relnamespace = 'data'::regnamespace and strpos(pg_get_expr(p.polqual, p.polrelid), quote_literal(p_tenant)) > 0
    limit 20
  loop
    execute format('drop table %s', t);
    counts := counts || jsonb_build_object('data tables', coalesce((counts->>'data tables')::bigint, 0) + 1);
  end loop;
  if counts <> '{}' then
    return counts;
  end if;
  for t in select name from app.tenant_tables() loop
    execute format('delete from %1$s where ctid = any (array(select ctid from %1$s where tenant_id = $1 limit $2))', t)
      using p_tenant, left_over;
    get diagnostics n = row_count;
    if n > 0 then
      counts := counts || jsonb_build_object((select relname from pg_class where oid = t), n);
      left_over := left_over - n;
    end if;
    exit when left_over <= 0;
  end loop;
  return counts;
end
$$;
--> statement-breakpoint
create index idempotency_keys_created on public.idempotency_keys (created_at);
--> statement-breakpoint
create index sessions_expires on public.sessions (expires_at);
--> statement-breakpoint
-- Forgets what is spent, of every tenant: sessions that are long over, answers that nobody may ask for again, addresses that
-- were invited and never came. At most p_limit of each.
create function app.forget_spent(p_limit integer) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  n bigint;
  counts jsonb := '{}';
begin
  delete from public.sessions where ctid = any (array(
    select ctid from public.sessions where expires_at < now() - interval '7 days' limit p_limit));
  get diagnostics n = row_count;
  counts := counts || jsonb_build_object('sessions', n);
  delete from public.idempotency_keys where ctid = any (array(
    select ctid from public.idempotency_keys where created_at < now() - interval '25 hours' limit p_limit));
  get diagnostics n = row_count;
  counts := counts || jsonb_build_object('idempotencyKeys', n);
  delete from public.invitations where ctid = any (array(
    select ctid from public.invitations where expires_at < now() - interval '30 days' limit p_limit));
  get diagnostics n = row_count;
  return counts || jsonb_build_object('invitations', n);
end
$$;
--> statement-breakpoint
-- Forgets the logs of the tenant's runs that ended before its time for logs, p_limit runs a call. Returns how many lines went.
create function app.forget_logs(p_tenant text, p_limit integer) returns integer
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  t record;
  upto timestamptz;
  gone integer;
begin
  select clock_timestamp() - log_retention_days * interval '1 day' as horizon, logs_forgotten_to into t
  from public.tenants where tenant_id = p_tenant for no key update;
  if t.horizon is null or t.logs_forgotten_to >= t.horizon then
    return 0;
  end if;
  select max(o.finished_at) into upto from (
    select r.finished_at from public.runs r
    where r.tenant_id = p_tenant and r.finished_at < t.horizon and r.finished_at > coalesce(t.logs_forgotten_to, '-infinity')
    order by r.finished_at limit p_limit) o;
  upto := coalesce(upto, t.horizon);
  delete from public.run_logs l using public.runs r
  where r.tenant_id = p_tenant and r.finished_at <= upto and r.finished_at > coalesce(t.logs_forgotten_to, '-infinity')
    and l.tenant_id = p_tenant and l.run_id = r.id;
  get diagnostics gone = row_count;
  update public.tenants set logs_forgotten_to = upto where tenant_id = p_tenant;
  return gone;
end
$$;
--> statement-breakpoint
-- Tenants that keep logs for less time than their runs.
create function app.tenants_with_old_logs(p_limit integer) returns setof text
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select tenant_id from public.tenants
  where log_retention_days is not null
    and coalesce(logs_forgotten_to, '-infinity') < now() - log_retention_days * interval '1 day' - interval '10 min'
  order by logs_forgotten_to nulls first limit p_limit
$$;
--> statement-breakpoint
do $$
declare
  f regprocedure;
begin
  foreach f in array array[
    'app.is_erasing(text)', 'app.note_coming_and_going()', 'app.change_member(text,text,text)', 'app.transfer_tenant(text)',
    'app.members(jsonb,text,integer)', 'app.invite(text,text,text,text[],jsonb,text,timestamptz)',
    'app.renew_invitation(text,text,timestamptz)', 'app.revoke_invitation(text)', 'app.find_invitation(text)',
    'app.use_invitation(text,text,text,text)', 'app.my_tenants()', 'app.open_tenant(text,text)',
    'app.move_tenant(text,text,timestamptz)', 'app.unwanted_runs(integer)', 'app.export_me()', 'app.erase_me()', 'app.anonymise_former(text)',
    'app.next_erasure(interval)', 'app.note_erasure(text,text,text,jsonb,interval)', 'app.erase_people(text,integer)',
    'app.erase_rows(text,integer)', 'app.forget_spent(integer)', 'app.forget_logs(text,integer)',
    'app.tenants_with_old_logs(integer)']::regprocedure[]
  loop
    execute format('alter function %s owner to weir_system', f);
    execute format('revoke all on function %s from public', f);
    execute format('grant execute on function %s to weir_app', f);
  end loop;
  -- Only inside the functions above.
  foreach f in array array['app.set_suspension(text,text,text)', 'app.erase_account(text)', 'app.forget_person(text,text)']::regprocedure[]
  loop
    execute format('alter function %s owner to weir_system', f);
    execute format('revoke all on function %s from public', f);
  end loop;
end
$$;
--> statement-breakpoint
revoke create on schema app from weir_system, weir_engine;
