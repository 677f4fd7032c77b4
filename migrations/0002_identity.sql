-- What identity needs across tenants, or before a tenant is known. Each function is the least that does it, belongs to
-- weir_system and is called by the Worker alone.

-- A tenant, its owner and the owner's first session. False when the address already has an account.
create function app.sign_up(
  p_tenant text, p_tenant_name text, p_user text, p_email text, p_password_hash text,
  p_session text, p_token_hash text, p_expires timestamptz
) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into public.users (id, email, password_hash) values (p_user, p_email, p_password_hash)
  on conflict do nothing;
  if not found then
    return false;
  end if;
  insert into public.tenants (tenant_id, name) values (p_tenant, p_tenant_name);
  insert into public.memberships (tenant_id, user_id, role) values (p_tenant, p_user, 'owner');
  insert into public.sessions (tenant_id, id, user_id, family_id, token_hash, expires_at)
  values (p_tenant, p_session, p_user, p_session, p_token_hash, p_expires);
  return true;
end
$$;
--> statement-breakpoint
-- Whoever has this address: {"userId","email","passwordHash","tenants":[{"id","name","role"}, …]}, the oldest tenant first.
create function app.find_login(p_email text) returns jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object(
    'userId', u.id, 'email', u.email, 'passwordHash', u.password_hash,
    'tenants', coalesce((
      select jsonb_agg(jsonb_build_object('id', t.tenant_id, 'name', t.name, 'role', m.role) order by m.created_at, t.tenant_id)
      from public.memberships m join public.tenants t on t.tenant_id = m.tenant_id
      where m.user_id = u.id
    ), '[]'::jsonb))
  from public.users u
  where lower(u.email) = lower(p_email)
$$;
--> statement-breakpoint
-- A new family of refresh tokens, and a better hash of the password when one is given. False when the user has left the tenant.
create function app.open_session(
  p_tenant text, p_user text, p_session text, p_token_hash text, p_expires timestamptz, p_password_hash text default null
) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  delete from public.sessions
  where tenant_id = p_tenant and user_id = p_user and expires_at < now();
  insert into public.sessions (tenant_id, id, user_id, family_id, token_hash, expires_at)
  select m.tenant_id, p_session, m.user_id, p_session, p_token_hash, p_expires
  from public.memberships m where m.tenant_id = p_tenant and m.user_id = p_user;
  if not found then
    return false;
  end if;
  if p_password_hash is not null then
    update public.users set password_hash = p_password_hash where id = p_user;
  end if;
  return true;
end
$$;
--> statement-breakpoint
-- Exchanges a refresh token for the next one of its family. Of two that present the same token one wins; the other, and
-- anyone who comes with a token that was exchanged before, ends the whole family.
-- {"outcome":"rotated","tenantId","userId","familyId","role","expiresAt"} | {"outcome":"reused","tenantId","userId","familyId"} |
-- null when there is no such token, it has expired or its family is over.
create function app.rotate_session(p_token_hash text, p_session text, p_next_hash text) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  old public.sessions;
  role_now text;
begin
  update public.sessions set rotated_at = clock_timestamp()
  where token_hash = p_token_hash and rotated_at is null and revoked_at is null and expires_at > clock_timestamp()
  returning * into old;
  if found then
    select m.role into role_now from public.memberships m where m.tenant_id = old.tenant_id and m.user_id = old.user_id;
    insert into public.sessions (tenant_id, id, user_id, family_id, token_hash, expires_at)
    values (old.tenant_id, p_session, old.user_id, old.family_id, p_next_hash, old.expires_at);
    return jsonb_build_object('outcome', 'rotated', 'tenantId', old.tenant_id, 'userId', old.user_id,
      'familyId', old.family_id, 'role', role_now, 'expiresAt', old.expires_at);
  end if;
  select * into old from public.sessions where token_hash = p_token_hash and rotated_at is not null;
  if not found then
    return null;
  end if;
  update public.sessions set revoked_at = clock_timestamp()
  where tenant_id = old.tenant_id and family_id = old.family_id and revoked_at is null;
  return jsonb_build_object('outcome', 'reused', 'tenantId', old.tenant_id, 'userId', old.user_id, 'familyId', old.family_id);
end
$$;
--> statement-breakpoint
-- Ends a session of the caller's: the tenant and the user are those of the claim.
create function app.end_session(p_family text) returns void
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
  update public.sessions set revoked_at = clock_timestamp()
  where tenant_id = app.tenant_id() and user_id = app.actor() and family_id = p_family and revoked_at is null
$$;
--> statement-breakpoint
-- Whether the caller's session still stands: asked only when Redis, which remembers ended ones, does not answer.
create function app.session_stands(p_family text) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select exists (
    select from public.sessions
    where tenant_id = app.tenant_id() and user_id = app.actor() and family_id = p_family
      and rotated_at is null and revoked_at is null
  )
$$;
--> statement-breakpoint
-- A live API key by its hash: {"tenantId","keyId","scopes","expiresAt"} or null. Asked at most every half minute a key,
-- which is what makes it the place to note that the key is in use.
create function app.find_api_key(p_hash text) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  found_key public.api_keys;
begin
  select * into found_key from public.api_keys
  where key_hash = p_hash and revoked_at is null and (expires_at is null or expires_at > clock_timestamp());
  if not found then
    return null;
  end if;
  update public.api_keys set last_used_at = now()
  where tenant_id = found_key.tenant_id and id = found_key.id
    and (last_used_at is null or last_used_at < now() - interval '1 minute');
  return jsonb_build_object('tenantId', found_key.tenant_id, 'keyId', found_key.id,
    'scopes', to_jsonb(found_key.scopes), 'expiresAt', found_key.expires_at);
end
$$;
--> statement-breakpoint
-- The address of one of the tenant's own people.
create function app.member_email(p_user text) returns text
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select u.email from public.memberships m join public.users u on u.id = m.user_id
  where m.tenant_id = app.tenant_id() and m.user_id = p_user
$$;
--> statement-breakpoint
do $$
declare
  signature text;
begin
  foreach signature in array array[
    'app.sign_up(text, text, text, text, text, text, text, timestamptz)',
    'app.find_login(text)',
    'app.open_session(text, text, text, text, timestamptz, text)',
    'app.rotate_session(text, text, text)',
    'app.end_session(text)',
    'app.session_stands(text)',
    'app.find_api_key(text)',
    'app.member_email(text)'
  ] loop
    execute format('alter function %s owner to weir_system', signature);
    execute format('revoke all on function %s from public', signature);
    execute format('grant execute on function %s to weir_app', signature);
  end loop;
end
$$;
