-- Second factors: what a person shows besides the password. People span tenants and so do their factors, so these tables have
-- no tenant: no policy lets weir_app see them, and the functions below are the only way in. Times come from the Worker, whose
-- clock codes are checked by.
create table public.factors (
  user_id text not null references public.users (id) on delete cascade,
  id text not null,
  kind text not null check (kind in ('totp', 'passkey')),
  name text not null,
  -- The secret of one-time codes, sealed for this person and this factor.
  secret text,
  -- The newest time step that was used: no code of it or of an earlier one is good again.
  last_step bigint not null default 0,
  credential_id text,
  public_key text,
  sign_count bigint not null default 0,
  transports text[] not null default '{}',
  -- The session or the challenge that began it: nobody else can confirm it.
  begun_by text not null,
  created_at timestamptz not null,
  confirmed_at timestamptz,
  last_used_at timestamptz,
  primary key (user_id, id),
  check ((kind = 'totp') = (secret is not null)),
  check ((kind = 'passkey') = (credential_id is not null and public_key is not null))
);
--> statement-breakpoint
create unique index factors_credential on public.factors (credential_id);
--> statement-breakpoint
create table public.recovery_codes (
  user_id text not null references public.users (id) on delete cascade,
  code_hash text not null,
  used_at timestamptz,
  primary key (user_id, code_hash)
);
--> statement-breakpoint
-- When codes were tried lately: at most five times in five minutes, also when Redis has forgotten them.
create table public.factor_tries (
  user_id text primary key references public.users (id) on delete cascade,
  times timestamptz[] not null
);
--> statement-breakpoint
-- A sign-in that waits for the second factor.
create table public.factor_challenges (
  token_hash text primary key,
  user_id text not null references public.users (id) on delete cascade,
  tenant text not null references public.tenants (tenant_id) on delete cascade,
  amr text[] not null,
  enrol boolean not null,
  expires_at timestamptz not null
);
--> statement-breakpoint
create index factor_challenges_user on public.factor_challenges (user_id);
--> statement-breakpoint
create index factor_challenges_tenant on public.factor_challenges (tenant);
--> statement-breakpoint
-- What an authenticator was asked to sign: for one purpose, by whoever began it, once.
create table public.passkey_challenges (
  challenge text primary key,
  purpose text not null check (purpose in ('register', 'second', 'first', 'step-up')),
  begun_by text not null,
  expires_at timestamptz not null
);
--> statement-breakpoint
create index passkey_challenges_expiry on public.passkey_challenges (expires_at);
--> statement-breakpoint
-- When a session last proved again whose it is.
create table public.session_proofs (
  user_id text not null references public.users (id) on delete cascade,
  session_id text not null,
  proved_at timestamptz not null,
  primary key (user_id, session_id)
);
--> statement-breakpoint
do $$
declare
  t text;
begin
  foreach t in array array['factors', 'recovery_codes', 'factor_tries', 'factor_challenges', 'passkey_challenges', 'session_proofs'] loop
    execute format('alter table public.%I enable row level security', t);
    execute format('alter table public.%I force row level security', t);
    execute format('create policy system on public.%I for all to weir_system using (true) with check (true)', t);
    execute format('grant select, insert, update, delete on public.%I to weir_system', t);
  end loop;
end
$$;
--> statement-breakpoint
-- Whether the role must show a second factor in this tenant.
create function app.role_needs_factor(p_tenant text, p_role text) returns boolean
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return exists (
    select from public.tenants t where t.tenant_id = p_tenant and (p_role = any(t.mfa_roles) or 'all' = any(t.mfa_roles)));
end
$$;
--> statement-breakpoint
-- Whether a sign-in that showed this was one with a second factor. What another tenant's identity provider vouches for says
-- nothing here.
create function app.shows_factor(p_amr text[]) returns boolean
language sql immutable
set search_path = pg_catalog, pg_temp
as $$ select p_amr && array['otp', 'passkey', 'recovery'] or 'mfa' = any(p_amr) and not 'switch' = any(p_amr) $$;
--> statement-breakpoint
-- Begins the second step of a sign-in, when there must be one: a person who has a factor shows it, whatever the tenant asks;
-- one who has none and needs one enrols it now. {"factors":["totp",…],"enrol"} | null
create function app.open_factor_challenge(
  p_user text, p_tenant text, p_role text, p_amr text[], p_token_hash text, p_now timestamptz, p_expires timestamptz
) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  kinds text[];
begin
  if app.shows_factor(p_amr) then
    return null;
  end if;
  select coalesce(array_agg(distinct f.kind order by f.kind desc), '{}') into kinds
  from public.factors f where f.user_id = p_user and f.confirmed_at is not null;
  if kinds = '{}' and not app.role_needs_factor(p_tenant, p_role) then
    return null;
  end if;
  delete from public.factor_challenges where user_id = p_user and expires_at <= p_now;
  insert into public.factor_challenges (token_hash, user_id, tenant, amr, enrol, expires_at)
  values (p_token_hash, p_user, p_tenant, p_amr, kinds = '{}', p_expires);
  if kinds = '{}' then
    return jsonb_build_object('factors', '["totp","passkey"]'::jsonb, 'enrol', true);
  end if;
  if exists (select from public.recovery_codes r where r.user_id = p_user and r.used_at is null) then
    kinds := kinds || 'recovery'::text;
  end if;
  return jsonb_build_object('factors', to_jsonb(kinds), 'enrol', false);
end
$$;
--> statement-breakpoint
-- {"userId","email","tenantId","amr","enrol"} | null when there is none, it is over or was used.
create function app.factor_challenge(p_token_hash text, p_now timestamptz) returns jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object('userId', c.user_id, 'email', u.email, 'tenantId', c.tenant, 'amr', to_jsonb(c.amr), 'enrol', c.enrol)
  from public.factor_challenges c join public.users u on u.id = c.user_id
  where c.token_hash = p_token_hash and c.expires_at > p_now
$$;
--> statement-breakpoint
-- Notes that what a person showed as a second factor was none: what kind, where ('sign-in', 'step-up', 'enrolment') and why. In
-- the tenant of the claim; before there is one, in every tenant of the person. p_request is where it came from, where no
-- transaction says so.
create function app.note_refused_factor(p_user text, p_kind text, p_at text, p_reason text, p_request jsonb) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.tenant_id();
begin
  perform app.note(m.tenant_id, p_user, 'factor.refused', 'user', p_user,
    coalesce(p_request, '{}') || jsonb_build_object('kind', p_kind, 'at', p_at, 'reason', p_reason))
  from public.memberships m where m.user_id = p_user and (tenant is null or m.tenant_id = tenant);
end
$$;
--> statement-breakpoint
-- Counts one try and gives what codes can be checked against: [{"id","secret","lastStep"}, …]; null when it is one too many,
-- which is noted. p_begun_by names the enrolment whose unconfirmed secret is meant; without it the confirmed ones are.
create function app.try_code(p_user text, p_begun_by text, p_now timestamptz, p_at text, p_request jsonb) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  insert into public.factor_tries as t (user_id, times) values (p_user, array[p_now])
  on conflict (user_id) do update set times = (
    select array_agg(at) from unnest(t.times || p_now) as at where at > p_now - interval '5 minutes')
  where (select count(*) from unnest(t.times) as at where at > p_now - interval '5 minutes') < 5;
  if not found then
    perform app.note_refused_factor(p_user, 'code', p_at, 'too_many', p_request);
    return null;
  end if;
  return coalesce((
    select jsonb_agg(jsonb_build_object('id', f.id, 'secret', f.secret, 'lastStep', f.last_step))
    from public.factors f
    where f.user_id = p_user and f.kind = 'totp' and case
      when p_begun_by is null then f.confirmed_at is not null
      else f.confirmed_at is null and f.begun_by = p_begun_by and f.created_at > p_now - interval '10 minutes' end
  ), '[]'::jsonb);
end
$$;
--> statement-breakpoint
-- Uses a factor, once: a time step, a recovery code, a signature with a higher count; what cannot be used is noted. Not for
-- the Worker.
create function app.use_factor(p_user text, p_proof jsonb, p_now timestamptz, p_at text, p_request jsonb) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  case p_proof ->> 'kind'
    when 'totp' then
      update public.factors set last_step = (p_proof ->> 'step')::bigint, last_used_at = p_now
      where user_id = p_user and id = p_proof ->> 'id' and kind = 'totp' and confirmed_at is not null
        and last_step < (p_proof ->> 'step')::bigint;
    when 'passkey' then
      update public.factors set sign_count = (p_proof ->> 'count')::bigint, last_used_at = p_now
      where user_id = p_user and id = p_proof ->> 'id' and kind = 'passkey'
        and (sign_count < (p_proof ->> 'count')::bigint or (sign_count = 0 and (p_proof ->> 'count')::bigint = 0));
    when 'recovery' then
      update public.recovery_codes set used_at = p_now
      where user_id = p_user and code_hash = p_proof ->> 'hash' and used_at is null;
  end case;
  if found then
    return true;
  end if;
  perform app.note_refused_factor(p_user, p_proof ->> 'kind', p_at,
    case p_proof ->> 'kind' when 'totp' then 'used' when 'passkey' then 'count' else 'wrong' end, p_request);
  return false;
end
$$;
--> statement-breakpoint
-- Ends the second step of a sign-in with a proof; of two that come with the same token or the same code one wins.
-- {"userId","email","tenantId","amr"} | null
create function app.finish_challenge(p_token_hash text, p_proof jsonb, p_now timestamptz, p_request jsonb) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  challenge public.factor_challenges;
begin
  select * into challenge from public.factor_challenges
  where token_hash = p_token_hash and expires_at > p_now and not enrol for update;
  if not found or not app.use_factor(challenge.user_id, p_proof, p_now, 'sign-in', p_request) then
    return null;
  end if;
  delete from public.factor_challenges where token_hash = p_token_hash;
  return (
    select jsonb_build_object('userId', u.id, 'email', u.email, 'tenantId', challenge.tenant, 'amr', to_jsonb(challenge.amr))
    from public.users u where u.id = challenge.user_id);
end
$$;
--> statement-breakpoint
-- Uses a passkey that stands alone: the first factor.
create function app.use_passkey(p_user text, p_id text, p_count bigint, p_now timestamptz, p_request jsonb) returns boolean
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
  select app.use_factor(p_user, jsonb_build_object('kind', 'passkey', 'id', p_id, 'count', p_count), p_now, 'sign-in', p_request)
$$;
--> statement-breakpoint
-- Begins one-time codes: an unconfirmed factor, in place of one that the same session or challenge began. False beyond twenty.
create function app.begin_totp(
  p_user text, p_id text, p_name text, p_secret text, p_begun_by text, p_now timestamptz
) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  delete from public.factors where user_id = p_user and confirmed_at is null
    and (begun_by = p_begun_by or created_at <= p_now - interval '10 minutes');
  insert into public.factors (user_id, id, kind, name, secret, begun_by, created_at)
  select p_user, p_id, 'totp', p_name, p_secret, p_begun_by, p_now
  where (select count(*) from public.factors f where f.user_id = p_user) < 20;
  return found;
end
$$;
--> statement-breakpoint
-- Makes a factor good: confirms begun one-time codes {"kind":"totp","id","step"}, or adds a passkey {"kind":"passkey","id","name",
-- "credentialId","publicKey","count","transports"}. The first one brings recovery codes. Not for the Worker.
-- {"id","recovery": whether the recovery codes were taken} | null
create function app.add_factor(p_user text, p_factor jsonb, p_begun_by text, p_recovery text[], p_now timestamptz) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  first_codes boolean;
begin
  if p_factor ->> 'kind' = 'totp' then
    update public.factors set confirmed_at = p_now, last_step = (p_factor ->> 'step')::bigint, last_used_at = p_now
    where user_id = p_user and id = p_factor ->> 'id' and kind = 'totp' and confirmed_at is null and begun_by = p_begun_by
      and created_at > p_now - interval '10 minutes';
  else
    insert into public.factors
      (user_id, id, kind, name, credential_id, public_key, sign_count, transports, begun_by, created_at, confirmed_at)
    select p_user, p_factor ->> 'id', 'passkey', p_factor ->> 'name', p_factor ->> 'credentialId', p_factor ->> 'publicKey',
      (p_factor ->> 'count')::bigint, array(select jsonb_array_elements_text(p_factor -> 'transports')), p_begun_by, p_now, p_now
    where (select count(*) from public.factors f where f.user_id = p_user) < 20
    on conflict do nothing;
  end if;
  if not found then
    return null;
  end if;
  first_codes := not exists (select from public.recovery_codes r where r.user_id = p_user);
  if first_codes then
    insert into public.recovery_codes (user_id, code_hash) select p_user, hash from unnest(p_recovery) as hash;
  end if;
  return jsonb_build_object('id', p_factor ->> 'id', 'recovery', first_codes);
end
$$;
--> statement-breakpoint
-- Adds a factor for a person who is signed in.
create function app.enrol_factor(
  p_tenant text, p_user text, p_factor jsonb, p_begun_by text, p_recovery text[], p_now timestamptz
) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  added jsonb;
begin
  perform from public.users where id = p_user for update;
  added := app.add_factor(p_user, p_factor, p_begun_by, p_recovery, p_now);
  if added is not null then
    perform app.note(p_tenant, p_user, 'factor.added', 'factor', added ->> 'id', jsonb_build_object('kind', p_factor ->> 'kind'));
  end if;
  return added;
end
$$;
--> statement-breakpoint
-- Ends an enrolment that a sign-in began. Who has a factor by now must show it instead, so whoever knows only the password
-- of somebody who has just enrolled gets nowhere. {"userId","email","tenantId","amr","id","recovery"} | null
create function app.finish_enrolment(p_token_hash text, p_factor jsonb, p_recovery text[], p_now timestamptz) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  challenge public.factor_challenges;
  person public.users;
  added jsonb;
begin
  select u.* into person from public.users u
  where u.id = (select c.user_id from public.factor_challenges c where c.token_hash = p_token_hash) for update;
  select * into challenge from public.factor_challenges
  where token_hash = p_token_hash and expires_at > p_now and enrol for update;
  if not found or exists (select from public.factors f where f.user_id = person.id and f.confirmed_at is not null) then
    return null;
  end if;
  added := app.add_factor(person.id, p_factor, p_token_hash, p_recovery, p_now);
  if added is null then
    return null;
  end if;
  delete from public.factor_challenges where user_id = person.id and (enrol or token_hash = p_token_hash);
  perform app.note(challenge.tenant, person.id, 'factor.added', 'factor', added ->> 'id', jsonb_build_object('kind', p_factor ->> 'kind'));
  return added || jsonb_build_object(
    'userId', person.id, 'email', person.email, 'tenantId', challenge.tenant, 'amr', to_jsonb(challenge.amr));
end
$$;
--> statement-breakpoint
-- Whether the person is in a tenant where their role must show a second factor. Not for the Worker.
create function app.needs_factor(p_user text) returns boolean
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return exists (
    select from public.memberships m where m.user_id = p_user and app.role_needs_factor(m.tenant_id, m.role));
end
$$;
--> statement-breakpoint
-- {"factors":[{"id","kind","name","createdAt","lastUsedAt"}, …],"recoveryCodes": how many are left,"required"}
create function app.list_factors(p_user text) returns jsonb
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return jsonb_build_object(
    'factors', coalesce((
      select jsonb_agg(jsonb_build_object('id', f.id, 'kind', f.kind, 'name', f.name, 'createdAt', f.created_at, 'lastUsedAt', f.last_used_at)
        order by f.id)
      from public.factors f where f.user_id = p_user and f.confirmed_at is not null), '[]'::jsonb),
    'recoveryCodes', (select count(*) from public.recovery_codes r where r.user_id = p_user and r.used_at is null),
    'required', app.needs_factor(p_user));
end
$$;
--> statement-breakpoint
create function app.rename_factor(p_user text, p_id text, p_name text) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  update public.factors set name = p_name where user_id = p_user and id = p_id and confirmed_at is not null;
  return found;
end
$$;
--> statement-breakpoint
-- 'removed' | 'last' when a role demands one and this is all there is | null. The last one takes the recovery codes with it.
create function app.remove_factor(p_tenant text, p_user text, p_id text) returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  others boolean;
begin
  perform from public.users where id = p_user for update;
  if not exists (select from public.factors where user_id = p_user and id = p_id and confirmed_at is not null) then
    return null;
  end if;
  others := exists (select from public.factors where user_id = p_user and id <> p_id and confirmed_at is not null);
  if not others and app.needs_factor(p_user) then
    return 'last';
  end if;
  delete from public.factors where user_id = p_user and id = p_id;
  if not others then
    delete from public.recovery_codes where user_id = p_user;
  end if;
  perform app.note(p_tenant, p_user, 'factor.removed', 'factor', p_id, '{}'::jsonb);
  return 'removed';
end
$$;
--> statement-breakpoint
-- New recovery codes instead of all earlier ones, for who has a factor.
create function app.renew_recovery_codes(p_tenant text, p_user text, p_hashes text[]) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform from public.users where id = p_user for update;
  if not exists (select from public.factors where user_id = p_user and confirmed_at is not null) then
    return false;
  end if;
  delete from public.recovery_codes where user_id = p_user;
  insert into public.recovery_codes (user_id, code_hash) select p_user, hash from unnest(p_hashes) as hash;
  perform app.note(p_tenant, p_user, 'recovery-codes.renewed', 'user', p_user, '{}'::jsonb);
  return true;
end
$$;
--> statement-breakpoint
-- Takes away every factor of a member who has lost them: the claim says in which tenant and who does it. An owner's only an
-- owner resets; nobody resets their own; and nobody resets those of a person who is in another tenant as well, because
-- that tenant relies on them too. {"outcome":"reset","email"} | {"outcome":"owner"|"self"|"elsewhere"} | null
create function app.reset_factors(p_user text) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  target text;
begin
  perform app.need('M', 'members:write');
  perform from public.users where id = p_user for update;
  select m.role into target from public.memberships m where m.tenant_id = app.tenant_id() and m.user_id = p_user;
  if not found then
    return null;
  end if;
  if p_user = app.actor() then
    return jsonb_build_object('outcome', 'self');
  end if;
  if target = 'owner' and not exists (
    select from public.memberships m where m.tenant_id = app.tenant_id() and m.user_id = app.actor() and m.role = 'owner') then
    perform app.note_own('access.refused', 'member', p_user, '{"reason": "owners_only"}');
    return jsonb_build_object('outcome', 'owner');
  end if;
  if exists (select from public.memberships m where m.user_id = p_user and m.tenant_id <> app.tenant_id()) then
    return jsonb_build_object('outcome', 'elsewhere');
  end if;
  delete from public.factors where user_id = p_user;
  delete from public.recovery_codes where user_id = p_user;
  delete from public.factor_challenges where user_id = p_user;
  perform app.note(app.tenant_id(), app.actor(), 'factors.reset', 'user', p_user, '{}'::jsonb);
  return jsonb_build_object('outcome', 'reset', 'email', (select u.email from public.users u where u.id = p_user));
end
$$;
--> statement-breakpoint
-- Remembers what an authenticator is asked to sign, and forgets a few that nobody came back for.
create function app.begin_passkey(p_challenge text, p_purpose text, p_begun_by text, p_now timestamptz, p_expires timestamptz) returns void
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
  delete from public.passkey_challenges where challenge in (
    select challenge from public.passkey_challenges where expires_at <= p_now limit 100 for update skip locked);
  insert into public.passkey_challenges (challenge, purpose, begun_by, expires_at)
  values (p_challenge, p_purpose, p_begun_by, p_expires);
$$;
--> statement-breakpoint
create function app.take_passkey_challenge(p_challenge text, p_purpose text, p_begun_by text, p_now timestamptz) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  delete from public.passkey_challenges
  where challenge = p_challenge and purpose = p_purpose and begun_by = p_begun_by and expires_at > p_now;
  return found;
end
$$;
--> statement-breakpoint
-- {"userId","email","id","publicKey","count","transports"} | null
create function app.find_passkey(p_credential text) returns jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object('userId', u.id, 'email', u.email, 'id', f.id, 'publicKey', f.public_key, 'count', f.sign_count,
    'transports', to_jsonb(f.transports))
  from public.factors f join public.users u on u.id = f.user_id
  where f.credential_id = p_credential and f.kind = 'passkey'
$$;
--> statement-breakpoint
-- The person's passkeys, for an authenticator to look for: {"email","passkeys":[{"id","transports"}, …]}
create function app.passkeys_of(p_user text) returns jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object('email', u.email, 'passkeys', coalesce((
    select jsonb_agg(jsonb_build_object('id', f.credential_id, 'transports', to_jsonb(f.transports)))
    from public.factors f where f.user_id = u.id and f.kind = 'passkey'), '[]'::jsonb))
  from public.users u where u.id = p_user
$$;
--> statement-breakpoint
-- Uses a factor to prove again whose session the claim's actor has; without a proof the caller has checked the password, which
-- is enough only for who has no factor. Both outcomes are noted.
create function app.prove_session(p_session text, p_proof jsonb, p_now timestamptz) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  person text := app.actor();
begin
  if app.tenant_id() is null then
    return false;
  elsif p_proof is null then
    if exists (select from public.factors where user_id = person and confirmed_at is not null) then
      perform app.note_refused_factor(person, 'password', 'step-up', 'factor_needed', null);
      return false;
    end if;
  elsif not app.use_factor(person, p_proof, p_now, 'step-up', null) then
    return false;
  end if;
  delete from public.session_proofs where user_id = person and proved_at <= p_now - interval '10 minutes';
  insert into public.session_proofs (user_id, session_id, proved_at) values (person, p_session, p_now)
  on conflict (user_id, session_id) do update set proved_at = p_now;
  perform app.note_own('session.proved', 'session', p_session, jsonb_build_object('by', coalesce(p_proof ->> 'kind', 'password')));
  return true;
end
$$;
--> statement-breakpoint
-- What the password is checked against; null for who signs in by other means.
create function app.password_of(p_user text) returns text
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select password_hash from public.users where id = p_user
$$;
--> statement-breakpoint
-- Whether the session has shown in the last ten minutes whose it is: by a proof, or by the sign-in that opened it.
create function app.session_is_proved(p_user text, p_session text, p_now timestamptz) returns boolean
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  return exists (
    select from public.session_proofs
    where user_id = p_user and session_id = p_session and proved_at > p_now - interval '10 minutes'
  ) or exists (
    select from public.sessions
    where user_id = p_user and id = p_session and not 'switch' = any(amr) and created_at > p_now - interval '10 minutes');
end
$$;
--> statement-breakpoint
do $$
declare
  signature text;
  internal text[] := array[
    'app.role_needs_factor(text, text)',
    'app.needs_factor(text)',
    'app.shows_factor(text[])',
    'app.use_factor(text, jsonb, timestamptz, text, jsonb)',
    'app.add_factor(text, jsonb, text, text[], timestamptz)'
  ];
begin
  foreach signature in array internal || array[
    'app.open_factor_challenge(text, text, text, text[], text, timestamptz, timestamptz)',
    'app.factor_challenge(text, timestamptz)',
    'app.note_refused_factor(text, text, text, text, jsonb)',
    'app.try_code(text, text, timestamptz, text, jsonb)',
    'app.finish_challenge(text, jsonb, timestamptz, jsonb)',
    'app.use_passkey(text, text, bigint, timestamptz, jsonb)',
    'app.begin_totp(text, text, text, text, text, timestamptz)',
    'app.enrol_factor(text, text, jsonb, text, text[], timestamptz)',
    'app.finish_enrolment(text, jsonb, text[], timestamptz)',
    'app.list_factors(text)',
    'app.rename_factor(text, text, text)',
    'app.remove_factor(text, text, text)',
    'app.renew_recovery_codes(text, text, text[])',
    'app.reset_factors(text)',
    'app.begin_passkey(text, text, text, timestamptz, timestamptz)',
    'app.take_passkey_challenge(text, text, text, timestamptz)',
    'app.find_passkey(text)',
    'app.passkeys_of(text)',
    'app.prove_session(text, jsonb, timestamptz)',
    'app.password_of(text)',
    'app.session_is_proved(text, text, timestamptz)'
  ] loop
    execute format('alter function %s owner to weir_system', signature);
    execute format('revoke all on function %s from public', signature);
    if not signature = any(internal) then
      execute format('grant execute on function %s to weir_app', signature);
    end if;
  end loop;
end
$$;
