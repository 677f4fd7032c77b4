-- What identity needs across tenants, or before a tenant is known. Each function is the least that does it, belongs to
-- weir_system and is called by the Worker alone.

-- A tenant, its owner, the owner's first session, and the mail that asks to prove the address. False when the address already
-- has an account.
create function app.sign_up(
  p_tenant text, p_tenant_name text, p_user text, p_email text, p_password_hash text,
  p_session text, p_token_hash text, p_expires timestamptz, p_client jsonb, p_link jsonb
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
  perform set_config('app.acting', p_user, true);
  insert into public.tenants (tenant_id, name) values (p_tenant, p_tenant_name);
  insert into public.memberships (tenant_id, user_id, role) values (p_tenant, p_user, 'owner');
  insert into public.sessions (tenant_id, id, user_id, family_id, token_hash, expires_at, amr, address, user_agent)
  values (p_tenant, p_session, p_user, p_session, p_token_hash, p_expires, '{pwd}', p_client->>'address', p_client->>'userAgent');
  perform app.keep_link(p_user, 'verify', p_link->>'tokenHash', (p_link->>'expiresAt')::timestamptz, p_link->>'mailId',
    p_link->>'sealed', p_email);
  return true;
end
$$;
--> statement-breakpoint
-- A new family of refresh tokens, and a better hash of the password when one is given. False when the user has left the tenant, or
-- has been signed in for longer than it allows.
-- p_client: {"amr","address","userAgent","beganAt"}; what another session is opened with began when that one did. p_was is the hash that the password was compared with: whoever was faster with
-- another one has ended the sessions of this one.
create function app.open_session(
  p_tenant text, p_user text, p_session text, p_token_hash text, p_expires timestamptz, p_client jsonb,
  p_was text default null, p_password_hash text default null
) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  began timestamptz := coalesce((p_client->>'beganAt')::timestamptz, now());
begin
  perform from public.users where id = p_user and (p_was is null or password_hash = p_was) for no key update;
  if not found then
    return false;
  end if;
  delete from public.sessions
  where tenant_id = p_tenant and user_id = p_user and expires_at < now();
  insert into public.sessions (tenant_id, id, user_id, family_id, token_hash, expires_at, amr, began_at, address, user_agent)
  select m.tenant_id, p_session, m.user_id, p_session, p_token_hash, p_expires,
    array(select jsonb_array_elements_text(p_client->'amr')), began, p_client->>'address', p_client->>'userAgent'
  from public.memberships m join public.tenants t on t.tenant_id = m.tenant_id
  where m.tenant_id = p_tenant and m.user_id = p_user and began + app.session_limit(t) > clock_timestamp();
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
-- null when there is no such token, it has expired, was not used for too long or its family is over.
create function app.rotate_session(p_token_hash text, p_session text, p_next_hash text, p_address text, p_user_agent text) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  old public.sessions;
  role_now text;
begin
  -- Whoever ends the session waits here, or has ended it before: no token of it is born behind their back.
  perform from public.sessions f
  where (f.tenant_id, f.id) = (select s.tenant_id, s.family_id from public.sessions s where s.token_hash = p_token_hash)
  for update;
  update public.sessions s set rotated_at = clock_timestamp()
  from public.tenants t
  where s.token_hash = p_token_hash and s.rotated_at is null and s.revoked_at is null and s.expires_at > clock_timestamp()
    and t.tenant_id = s.tenant_id and s.created_at + app.idle_limit(t) > clock_timestamp()
    and s.began_at + app.session_limit(t) > clock_timestamp()
    -- A session that showed no second factor ends when the tenant begins to demand one of this role.
    and (app.shows_factor(s.amr) or not exists (
      select from public.memberships m
      where m.tenant_id = s.tenant_id and m.user_id = s.user_id and app.role_needs_factor(m.tenant_id, m.role)))
  returning s.* into old;
  if found then
    select m.role into role_now from public.memberships m where m.tenant_id = old.tenant_id and m.user_id = old.user_id;
    insert into public.sessions (tenant_id, id, user_id, family_id, token_hash, expires_at, amr, began_at, address, user_agent)
    values (old.tenant_id, p_session, old.user_id, old.family_id, p_next_hash, old.expires_at, old.amr, old.began_at,
      coalesce(p_address, old.address), coalesce(p_user_agent, old.user_agent));
    return jsonb_build_object('outcome', 'rotated', 'tenantId', old.tenant_id, 'userId', old.user_id,
      'familyId', old.family_id, 'role', role_now, 'expiresAt', (
        select least(old.expires_at, old.began_at + app.session_limit(t)) from public.tenants t where t.tenant_id = old.tenant_id));
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
do $$
declare
  signature text;
begin
  foreach signature in array array[
    'app.sign_up(text, text, text, text, text, text, text, timestamptz, jsonb, jsonb)',
    'app.open_session(text, text, text, text, timestamptz, jsonb, text, text)',
    'app.rotate_session(text, text, text, text, text)',
    'app.session_stands(text)',
    'app.find_api_key(text)'
  ] loop
    execute format('alter function %s owner to weir_system', signature);
    execute format('revoke all on function %s from public', signature);
    execute format('grant execute on function %s to weir_app', signature);
  end loop;
end
$$;
