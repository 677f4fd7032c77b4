-- What people need of their accounts: mails to them, the links in those, and where they are signed in.

-- Somebody who signs in elsewhere has no password. `name` is what they are called by.
alter table public.users
  alter column password_hash drop not null,
  add column email_verified_at timestamptz,
  add column name text;
--> statement-breakpoint
-- Of one sign-in: with what (RFC 8176), since when, and where its newest token was given out.
alter table public.sessions
  add column amr text[] not null default '{}',
  add column began_at timestamptz not null default now(),
  add column address text,
  add column user_agent text;
--> statement-breakpoint
create index sessions_user on public.sessions (user_id) where rotated_at is null and revoked_at is null;
--> statement-breakpoint
-- What is in a link that was mailed: good once, for one purpose, until it expires. Only hashes are kept.
create table public.account_tokens (
  token_hash text primary key,
  user_id text not null references public.users (id) on delete cascade,
  purpose text not null check (purpose in ('verify', 'link', 'reset', 'change', 'undo')),
  -- verify, change: the address that it proves; change, undo: the one before.
  email text,
  email_before text,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null
);
--> statement-breakpoint
create index account_tokens_user on public.account_tokens (user_id, purpose);
--> statement-breakpoint
create index account_tokens_expires on public.account_tokens (expires_at);
--> statement-breakpoint
-- Mails that are to be sent: sealed, and gone when they are out.
create table public.mails (
  id text primary key,
  sealed text not null,
  attempts smallint not null default 0,
  send_after timestamptz not null,
  created_at timestamptz not null default clock_timestamp()
);
--> statement-breakpoint
create index mails_due on public.mails (send_after);
--> statement-breakpoint
do $$
declare
  t regclass;
begin
  foreach t in array array['public.account_tokens', 'public.mails']::regclass[] loop
    execute format('alter table %s enable row level security', t);
    execute format('alter table %s force row level security', t);
    execute format('create policy system on %s for all to weir_system using (true) with check (true)', t);
    execute format('grant select, insert, update, delete on %s to weir_system', t);
  end loop;
end
$$;
--> statement-breakpoint
grant create on schema app to weir_system;
--> statement-breakpoint
-- A mail is announced at once after the commit, and by the tick when that did not happen.
create function app.queue_mail(p_id text, p_sealed text) returns void
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
  insert into public.mails (id, sealed, send_after) values (p_id, p_sealed, clock_timestamp() + interval '60 s')
$$;
--> statement-breakpoint
-- {"sealed","createdAt"}, or null when it is out already.
create function app.find_mail(p_id text) returns jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object('sealed', m.sealed, 'createdAt', m.created_at) from public.mails m where m.id = p_id
$$;
--> statement-breakpoint
create function app.forget_mail(p_id text) returns void
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$ delete from public.mails where id = p_id $$;
--> statement-breakpoint
-- The tick's: hands out the mails that wait past their time, each to one tick, and later again if it stays; forgets links
-- that nobody can use any more.
create function app.sweep_mails(p_limit integer) returns setof text
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
  delete from public.account_tokens where token_hash = any (array(
    select token_hash from public.account_tokens where expires_at < clock_timestamp() limit p_limit));
  update public.mails m
  set attempts = least(m.attempts + 1, 1000),
      send_after = clock_timestamp() + least(power(2, least(m.attempts, 6)) * interval '60 s', interval '30 min')
  where m.id = any (array(
    select d.id from public.mails d where d.send_after <= clock_timestamp() order by d.send_after limit p_limit for update skip locked))
  returning m.id
$$;
--> statement-breakpoint
-- Whoever somebody is who signs in: {"userId","email","emailVerified","passwordHash","tenants":[{"id","name","role","requireSso"}, …]},
-- the oldest membership first.
create function app.login_of(p_user text) returns jsonb
language sql stable
as $$
  select jsonb_build_object(
    'userId', u.id, 'email', u.email, 'emailVerified', u.email_verified_at is not null, 'passwordHash', u.password_hash,
    'tenants', coalesce((
      select jsonb_agg(jsonb_build_object('id', t.tenant_id, 'name', t.name, 'role', m.role,
          'requireSso', t.require_sso) order by m.created_at, t.tenant_id)
      from public.memberships m join public.tenants t on t.tenant_id = m.tenant_id
      where m.user_id = u.id
    ), '[]'::jsonb))
  from public.users u where u.id = p_user
$$;
--> statement-breakpoint
create function app.find_login(p_email text) returns jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$ select app.login_of(u.id) from public.users u where lower(u.email) = lower(p_email) $$;
--> statement-breakpoint
create function app.find_person(p_user text) returns jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$ select app.login_of(p_user) $$;
--> statement-breakpoint
-- Keeps a link and its mail. At most five links of one purpose are open at a time: whoever asks more often has them in
-- the mailbox, and nobody can fill somebody else's.
create function app.keep_link(
  p_user text, p_purpose text, p_token_hash text, p_expires timestamptz, p_mail text, p_sealed text,
  p_email text default null, p_before text default null
) returns boolean
language plpgsql volatile
as $$
begin
  perform from public.users where id = p_user for no key update;
  if (select count(*) from public.account_tokens
      where user_id = p_user and purpose = p_purpose and expires_at > clock_timestamp()) >= 5 then
    return false;
  end if;
  insert into public.account_tokens (token_hash, user_id, purpose, email, email_before, expires_at)
  values (p_token_hash, p_user, p_purpose, p_email, p_before, p_expires);
  perform app.queue_mail(p_mail, p_sealed);
  return true;
end
$$;
--> statement-breakpoint
-- For somebody who is not signed in: a link to sign in, or to choose a new password. False where nothing is to be sent.
create function app.ask_link(
  p_email text, p_purpose text, p_token_hash text, p_expires timestamptz, p_mail text, p_sealed text
) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  person text;
begin
  select id into person from public.users where lower(email) = lower(p_email);
  if not found or p_purpose not in ('link', 'reset') then
    return false;
  end if;
  return app.keep_link(person, p_purpose, p_token_hash, p_expires, p_mail, p_sealed);
end
$$;
--> statement-breakpoint
-- For the caller: to prove their own address, while it is not proved.
create function app.ask_verification(p_email text, p_token_hash text, p_expires timestamptz, p_mail text, p_sealed text) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if app.tenant_id() is null
    or not exists (select from public.users where id = app.actor() and email = p_email and email_verified_at is null) then
    return false;
  end if;
  return app.keep_link(app.actor(), 'verify', p_token_hash, p_expires, p_mail, p_sealed, p_email);
end
$$;
--> statement-breakpoint
-- For the caller: to prove another address that is to be theirs. False also where somebody has it.
create function app.ask_email_change(
  p_email text, p_new text, p_token_hash text, p_expires timestamptz, p_mail text, p_sealed text
) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if app.tenant_id() is null
    or not exists (select from public.users where id = app.actor() and email = p_email)
    or exists (select from public.users where lower(email) = lower(p_new) and id <> app.actor()) then
    return false;
  end if;
  return app.keep_link(app.actor(), 'change', p_token_hash, p_expires, p_mail, p_sealed, p_new, p_email);
end
$$;
--> statement-breakpoint
-- What a link is for, without using it: {"userId","email","emailBefore"}, the address being the person's own where the
-- link names none.
create function app.look_at_link(p_token_hash text, p_purpose text) returns jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object('userId', u.id, 'email', coalesce(k.email, u.email), 'emailBefore', k.email_before)
  from public.account_tokens k join public.users u on u.id = k.user_id
  where k.token_hash = p_token_hash and k.purpose = p_purpose and k.expires_at > clock_timestamp()
$$;
--> statement-breakpoint
-- Uses a link up: of two at once one has it.
create function app.take_link(p_token_hash text, p_purpose text) returns public.account_tokens
language sql volatile
as $$
  delete from public.account_tokens
  where token_hash = p_token_hash and purpose = p_purpose and expires_at > clock_timestamp()
  returning *
$$;
--> statement-breakpoint
-- What a person does about their account is an entry in the audit of each of their tenants.
create function app.note_person(p_user text, p_action text) returns void
language plpgsql volatile
as $$
begin
  perform app.note(m.tenant_id, p_user, p_action, 'user', p_user, '{}') from public.memberships m where m.user_id = p_user;
end
$$;
--> statement-breakpoint
-- {"email"}, or null when the link is none or the address is another by now.
create function app.verify_email(p_token_hash text) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  link public.account_tokens := app.take_link(p_token_hash, 'verify');
begin
  update public.users set email_verified_at = coalesce(email_verified_at, clock_timestamp())
  where id = link.user_id and email = link.email;
  if not found then
    return null;
  end if;
  perform app.note_person(link.user_id, 'account.email_verified');
  return jsonb_build_object('email', link.email);
end
$$;
--> statement-breakpoint
-- Ends sessions of a person: those of p_tenant or of all, but for the family p_keep. [{"tenantId","sessionId"}, …]
create function app.end_families(p_user text, p_tenant text, p_only text, p_keep text) returns jsonb
language sql volatile
as $$
  -- Opening a session waits for the person's row, exchanging a token for its family's first one.
  select from public.users where id = p_user for no key update;
  select from public.sessions
  where user_id = p_user and id = family_id and (p_tenant is null or tenant_id = p_tenant) and (p_only is null or id = p_only)
  order by tenant_id, id for update;
  with ended as (
    update public.sessions set revoked_at = clock_timestamp()
    where user_id = p_user and revoked_at is null
      and (p_tenant is null or tenant_id = p_tenant)
      and (p_only is null or family_id = p_only)
      and (p_keep is null or family_id <> p_keep)
    returning tenant_id, family_id)
  select coalesce(jsonb_agg(distinct jsonb_build_object('tenantId', tenant_id, 'sessionId', family_id)), '[]') from ended
$$;
--> statement-breakpoint
-- Whoever proves an address by a mail to it has the account. Before the first time it was perhaps set up by somebody else, in
-- the hope that its owner would come: password, second factors and sessions of that time are over. Returns the sessions.
create function app.prove_address(p_user text) returns jsonb
language plpgsql volatile
as $$
begin
  update public.users set email_verified_at = clock_timestamp(), password_hash = null
  where id = p_user and email_verified_at is null;
  if not found then
    return '[]';
  end if;
  delete from public.factors where user_id = p_user;
  delete from public.recovery_codes where user_id = p_user;
  delete from public.factor_challenges where user_id = p_user;
  return app.end_families(p_user, null, null, null);
end
$$;
--> statement-breakpoint
-- Who may sign in with the link, as app.login_of has it, and the sessions that this has ended: "ended".
create function app.use_sign_in_link(p_token_hash text) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  link public.account_tokens := app.take_link(p_token_hash, 'link');
  ended jsonb := app.prove_address(link.user_id);
begin
  return app.login_of(link.user_id) || jsonb_build_object('ended', ended);
end
$$;
--> statement-breakpoint
-- A new password, by the link that was mailed: every session ends, and so do the other links.
-- {"userId","email","ended"} | null
create function app.reset_password(p_token_hash text, p_password_hash text, p_mail text, p_sealed text) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  link public.account_tokens := app.take_link(p_token_hash, 'reset');
  ended jsonb := app.end_families(link.user_id, null, null, null);
  address text;
begin
  perform app.prove_address(link.user_id);
  update public.users set password_hash = p_password_hash where id = link.user_id returning email into address;
  if not found then
    return null;
  end if;
  delete from public.factor_challenges where user_id = link.user_id;
  delete from public.account_tokens where user_id = link.user_id and purpose in ('link', 'reset', 'change');
  perform app.queue_mail(p_mail, p_sealed);
  perform app.note_person(link.user_id, 'account.password_reset');
  return jsonb_build_object('userId', link.user_id, 'email', address, 'ended', ended);
end
$$;
--> statement-breakpoint
-- The caller's own: {"email","emailVerified","passwordHash"}.
create function app.self() returns jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select jsonb_build_object('email', u.email, 'emailVerified', u.email_verified_at is not null, 'passwordHash', u.password_hash)
  from public.memberships m join public.users u on u.id = m.user_id
  where m.tenant_id = app.tenant_id() and m.user_id = app.actor()
$$;
--> statement-breakpoint
-- The caller's new password, unless it was changed since p_was was read. The other sessions end: [{"tenantId","sessionId"}, …] | null
create function app.change_password(p_was text, p_password_hash text, p_keep text, p_mail text, p_sealed text) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  update public.users set password_hash = p_password_hash
  where app.tenant_id() is not null and id = app.actor() and password_hash is not distinct from p_was;
  if not found then
    return null;
  end if;
  delete from public.account_tokens where user_id = app.actor() and purpose in ('link', 'reset', 'change');
  delete from public.factor_challenges where user_id = app.actor();
  perform app.queue_mail(p_mail, p_sealed);
  perform app.note_person(app.actor(), 'account.password_changed');
  return app.end_families(app.actor(), null, null, p_keep);
end
$$;
--> statement-breakpoint
-- The address that the link has proved becomes the person's; the one before is told, with a link to undo it.
-- {"email"} | null, also when somebody else has come to the address meanwhile
create function app.change_email(p_token_hash text, p_undo_hash text, p_undo_expires timestamptz, p_mail text, p_sealed text) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  link public.account_tokens := app.take_link(p_token_hash, 'change');
begin
  update public.users set email = link.email, email_verified_at = clock_timestamp()
  where id = link.user_id and email = link.email_before;
  if not found then
    return null;
  end if;
  delete from public.account_tokens where user_id = link.user_id and purpose in ('verify', 'link', 'reset', 'change');
  insert into public.account_tokens (token_hash, user_id, purpose, email, email_before, expires_at)
  values (p_undo_hash, link.user_id, 'undo', link.email_before, link.email, p_undo_expires);
  perform app.queue_mail(p_mail, p_sealed);
  perform app.note_person(link.user_id, 'account.email_changed');
  return jsonb_build_object('email', link.email);
exception when unique_violation then
  return null;
end
$$;
--> statement-breakpoint
-- The address before is the person's again, whatever came after. Whoever changed it may know the password and be signed in:
-- there is no password and no session any more, and the mail brings the link to a new one.
-- {"userId","email","ended"} | null
create function app.undo_email_change(p_token_hash text, p_reset_hash text, p_reset_expires timestamptz, p_mail text, p_sealed text) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  link public.account_tokens := app.take_link(p_token_hash, 'undo');
begin
  update public.users set email = link.email, email_verified_at = clock_timestamp(), password_hash = null where id = link.user_id;
  if not found then
    return null;
  end if;
  delete from public.account_tokens where user_id = link.user_id;
  delete from public.factor_challenges where user_id = link.user_id;
  insert into public.account_tokens (token_hash, user_id, purpose, expires_at)
  values (p_reset_hash, link.user_id, 'reset', p_reset_expires);
  perform app.queue_mail(p_mail, p_sealed);
  perform app.note_person(link.user_id, 'account.email_undone');
  return jsonb_build_object('userId', link.user_id, 'email', link.email, 'ended', app.end_families(link.user_id, null, null, null));
exception when unique_violation then
  return null;
end
$$;
--> statement-breakpoint
-- How long a session lasts without being used: what the tenant has set, or seven days.
create function app.idle_limit(p_tenant public.tenants) returns interval
language sql stable
as $$ select coalesce((p_tenant.settings->>'sessionIdleMs')::bigint, 604800000) * interval '1 ms' $$;
--> statement-breakpoint
-- How long a session lasts however much it is used: what the tenant has set, or thirty days.
create function app.session_limit(p_tenant public.tenants) returns interval
language sql stable
as $$ select coalesce((p_tenant.settings->>'sessionMaxMs')::bigint, 2592000000) * interval '1 ms' $$;
--> statement-breakpoint
-- Where the caller is signed in, in whichever tenant, newest use first:
-- [{"sessionId","tenant":{"id","name"},"amr","address","userAgent","firstUsedAt","lastUsedAt","expiresAt"}, …]
create function app.own_sessions() returns jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select coalesce(jsonb_agg(jsonb_build_object(
      'sessionId', s.family_id, 'tenant', jsonb_build_object('id', t.tenant_id, 'name', t.name), 'amr', to_jsonb(s.amr),
      'address', s.address, 'userAgent', s.user_agent, 'firstUsedAt', s.began_at, 'lastUsedAt', s.created_at,
      'expiresAt', least(s.expires_at, s.created_at + app.idle_limit(t), s.began_at + app.session_limit(t))) order by s.created_at desc), '[]')
  from public.sessions s join public.tenants t on t.tenant_id = s.tenant_id
  where app.tenant_id() is not null and s.user_id = app.actor() and s.rotated_at is null and s.revoked_at is null
    and s.expires_at > clock_timestamp() and s.created_at + app.idle_limit(t) > clock_timestamp()
    and s.began_at + app.session_limit(t) > clock_timestamp()
$$;
--> statement-breakpoint
-- Ends the caller's session p_only, or with null all but p_keep: [{"tenantId","sessionId"}, …]
create function app.end_own_sessions(p_only text, p_keep text) returns jsonb
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
  select case when app.tenant_id() is null then '[]' else app.end_families(app.actor(), null, p_only, p_keep) end
$$;
--> statement-breakpoint
-- Ends a member's sessions in the claim's tenant; null when there is no such member.
create function app.end_member_sessions(p_user text) returns jsonb
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
  select app.end_families(m.user_id, m.tenant_id, null, null) from public.memberships m
  where m.tenant_id = app.tenant_id() and m.user_id = p_user and app.may('M')
$$;
--> statement-breakpoint
-- Whether what somebody came in with still lets them in, as what they came in as: asked while an answer goes on for longer
-- than a request.
create function app.credential_stands(p_family text, p_role text, p_key text) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select exists (select from public.tenants where tenant_id = app.tenant_id() and suspended_at is null)
    and case
      when p_key is null then app.session_stands(p_family) and exists (
        select from public.memberships where tenant_id = app.tenant_id() and user_id = app.actor() and role = p_role)
      else exists (
        select from public.api_keys where tenant_id = app.tenant_id() and id = p_key and revoked_at is null
          and (expires_at is null or expires_at > clock_timestamp()))
    end
$$;
--> statement-breakpoint
do $$
declare
  f regprocedure;
begin
  foreach f in array array[
    'app.login_of(text)', 'app.keep_link(text,text,text,timestamptz,text,text,text,text)', 'app.take_link(text,text)',
    'app.end_families(text,text,text,text)', 'app.note_person(text,text)', 'app.prove_address(text)', 'app.idle_limit(public.tenants)',
    'app.session_limit(public.tenants)']::regprocedure[]
  loop
    execute format('alter function %s owner to weir_system', f);
    execute format('revoke all on function %s from public', f);
  end loop;
  foreach f in array array[
    'app.queue_mail(text,text)', 'app.find_mail(text)', 'app.forget_mail(text)', 'app.sweep_mails(integer)',
    'app.find_login(text)', 'app.find_person(text)', 'app.ask_link(text,text,text,timestamptz,text,text)',
    'app.ask_verification(text,text,timestamptz,text,text)', 'app.ask_email_change(text,text,text,timestamptz,text,text)',
    'app.look_at_link(text,text)', 'app.verify_email(text)', 'app.use_sign_in_link(text)', 'app.reset_password(text,text,text,text)',
    'app.self()', 'app.change_password(text,text,text,text,text)', 'app.change_email(text,text,timestamptz,text,text)',
    'app.undo_email_change(text,text,timestamptz,text,text)', 'app.own_sessions()', 'app.end_own_sessions(text,text)',
    'app.end_member_sessions(text)', 'app.credential_stands(text,text,text)']::regprocedure[]
  loop
    execute format('alter function %s owner to weir_system', f);
    execute format('revoke all on function %s from public', f);
    execute format('grant execute on function %s to weir_app', f);
  end loop;
end
$$;
--> statement-breakpoint
revoke create on schema app from weir_system;
