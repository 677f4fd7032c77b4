-- Whose an API key is, and what it may do: never more than its owner, who is a person of the tenant or a service account.

grant create on schema app to weir_system;
--> statement-breakpoint
-- A member that is no person: it has a role and keys, and cannot sign in.
create table public.service_accounts (
  tenant_id text not null,
  id text not null,
  name text not null,
  role text not null,
  disabled_at timestamptz,
  created_by text not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint service_accounts_tenant_id_id_pk primary key (tenant_id, id),
  constraint service_accounts_tenant foreign key (tenant_id) references public.tenants (tenant_id)
);
--> statement-breakpoint
create unique index service_accounts_name on public.service_accounts (tenant_id, name);
--> statement-breakpoint
call app.wall('public.service_accounts');
--> statement-breakpoint
grant select, insert, update, delete on public.service_accounts to weir_app;
--> statement-breakpoint
alter table public.api_keys
  add column user_id text,
  add column service_account_id text,
  add column project_id text,
  add column ip_allow text[] not null default '{}',
  add column last_used_from text,
  -- How long it was to last, when it was made.
  add column lifetime interval,
  -- The key that was made to take its place.
  add column replaced_by text,
  add constraint api_keys_owner check (num_nonnulls(user_id, service_account_id) = 1),
  add constraint api_keys_service_account foreign key (tenant_id, service_account_id)
    references public.service_accounts (tenant_id, id) on delete cascade,
  add constraint api_keys_project foreign key (tenant_id, project_id) references public.projects (tenant_id, id) on delete cascade;
--> statement-breakpoint
create index api_keys_user on public.api_keys (tenant_id, user_id) where revoked_at is null;
--> statement-breakpoint
create index api_keys_service_account on public.api_keys (tenant_id, service_account_id) where service_account_id is not null;
--> statement-breakpoint
create index api_keys_project on public.api_keys (tenant_id, project_id) where project_id is not null;
--> statement-breakpoint
-- A person's keys end with the membership, and a new one does not bring them back.
create function app.end_personal_keys() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  update public.api_keys set revoked_at = clock_timestamp()
  where tenant_id = old.tenant_id and user_id = old.user_id and revoked_at is null;
  return null;
end
$$;
--> statement-breakpoint
create trigger memberships_keys after delete on public.memberships for each row execute function app.end_personal_keys();
--> statement-breakpoint
drop function app.find_api_key(text);
--> statement-breakpoint
-- A live API key by its hash: {"tenantId","keyId","scopes","role" (its owner's, now),"userId"|"serviceAccountId","projectId",
-- "ipAllow","expiresAt"} or null. Asked at most every half minute a key, which is what makes it the place to note that the
-- key is in use, and from where.
create function app.find_api_key(p_hash text, p_address text) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  k public.api_keys;
  role_now text;
begin
  select * into k from public.api_keys
  where key_hash = p_hash and revoked_at is null and (expires_at is null or expires_at > clock_timestamp());
  if not found then
    return null;
  end if;
  if k.user_id is not null then
    select m.role into role_now from public.memberships m where m.tenant_id = k.tenant_id and m.user_id = k.user_id;
  else
    select a.role into role_now from public.service_accounts a
    where a.tenant_id = k.tenant_id and a.id = k.service_account_id and a.disabled_at is null;
  end if;
  if role_now is null then
    return null;
  end if;
  update public.api_keys set last_used_at = now(), last_used_from = p_address
  where tenant_id = k.tenant_id and id = k.id
    and (last_used_at is null or last_used_at < now() - interval '1 minute');
  return jsonb_strip_nulls(jsonb_build_object('tenantId', k.tenant_id, 'keyId', k.id, 'scopes', to_jsonb(k.scopes),
    'role', role_now, 'userId', k.user_id, 'serviceAccountId', k.service_account_id, 'projectId', k.project_id,
    'ipAllow', to_jsonb(k.ip_allow), 'expiresAt', k.expires_at));
end
$$;
--> statement-breakpoint
-- Ends a key that somebody has found, by the hash of its text, and says whom to tell: the owners of the tenant and whose key
-- it was. Null when there is nothing to end.
create function app.end_found_key(p_hash text) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  k public.api_keys;
begin
  update public.api_keys set revoked_at = clock_timestamp()
  where key_hash = p_hash and revoked_at is null and (expires_at is null or expires_at > clock_timestamp())
  returning * into k;
  if not found then
    return null;
  end if;
  perform app.note(k.tenant_id, 'anonymous', 'api_key.found', 'api_key', k.id, jsonb_build_object('hint', k.hint));
  return jsonb_build_object('tenantId', k.tenant_id, 'keyId', k.id, 'name', k.name, 'hint', k.hint, 'emails', (
    select coalesce(jsonb_agg(distinct u.email), '[]') from public.memberships m join public.users u on u.id = m.user_id
    where m.tenant_id = k.tenant_id and (m.role = 'owner' or m.user_id = k.user_id)));
end
$$;
--> statement-breakpoint
alter function app.end_personal_keys() owner to weir_system;
--> statement-breakpoint
revoke all on function app.end_personal_keys() from public;
--> statement-breakpoint
do $$
declare
  f regprocedure;
begin
  foreach f in array array['app.find_api_key(text,text)', 'app.end_found_key(text)']::regprocedure[] loop
    execute format('alter function %s owner to weir_system', f);
    execute format('revoke all on function %s from public', f);
    execute format('grant execute on function %s to weir_app', f);
  end loop;
end
$$;
--> statement-breakpoint
revoke create on schema app from weir_system;
