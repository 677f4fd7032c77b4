-- Single sign-on over OpenID Connect and SAML 2.0, and provisioning over SCIM 2.0. A tenant's identity provider speaks for the
-- addresses of the domains that the tenant has proved to own, and for nobody else.

grant create on schema app to weir_system;
--> statement-breakpoint
-- Groups over SCIM are teams; members that a provider put in are the provider's to take out.
alter table public.teams
  add column external_id text,
  add column scim_version integer not null default 1,
  add column scim_at timestamptz not null default now();
--> statement-breakpoint
alter table public.team_members
  add column managed_by text constraint team_members_managed_by check (managed_by in ('sso', 'scim'));
--> statement-breakpoint
grant update (require_sso) on public.tenants to weir_app;
--> statement-breakpoint
create table public.sso_providers (
  tenant_id text not null,
  id text not null,
  kind text not null default 'oidc',
  name text not null,
  -- Who vouches: the issuer of OpenID Connect, the entity id of SAML.
  issuer text not null,
  client_id text,
  client_auth text,
  -- Sealed.
  client_secret text,
  scopes text[] not null default '{}',
  sign_in_url text,
  -- As PEM; whatever one of them signs is believed.
  certificates text[] not null default '{}',
  -- Null is the name id, where it is an address.
  email_attribute text,
  name_attribute text,
  groups_claim text,
  -- [{"group", "role"}, …]: the first whose group the person is in counts.
  role_map jsonb not null,
  -- Null refuses whoever is in none of the groups.
  default_role text,
  jit boolean not null,
  version integer not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint sso_providers_pk primary key (tenant_id, id),
  constraint sso_providers_tenant foreign key (tenant_id) references public.tenants (tenant_id),
  constraint sso_providers_client_auth check (client_auth in ('basic', 'post', 'none')),
  constraint sso_providers_kind check (case kind
    when 'oidc' then client_id is not null and client_auth is not null and sign_in_url is null and certificates = '{}'
    when 'saml' then client_id is null and client_auth is null and client_secret is null and sign_in_url is not null
      and cardinality(certificates) between 1 and 3
    else false end),
  constraint sso_providers_role check (default_role <> 'owner')
);
--> statement-breakpoint
create unique index sso_providers_name on public.sso_providers (tenant_id, name);
--> statement-breakpoint
create unique index sso_providers_id on public.sso_providers (id);
--> statement-breakpoint
call app.wall('public.sso_providers');
--> statement-breakpoint
grant select, insert, update, delete on public.sso_providers to weir_app;
--> statement-breakpoint
create table public.sso_domains (
  tenant_id text not null,
  domain text not null,
  -- What the TXT record must say.
  token text not null,
  -- Whom its people sign in with; null is the tenant's first provider.
  provider_id text,
  verified_at timestamptz,
  -- A proof is looked at about daily: when the record was last seen or missed, since when it is missed, and in how many looks.
  looked_at timestamptz,
  next_look_at timestamptz not null default now() + interval '1 day',
  missing_since timestamptz,
  misses integer not null default 0,
  -- When it stopped being proved.
  lost_at timestamptz,
  created_at timestamptz not null default now(),
  constraint sso_domains_pk primary key (tenant_id, domain),
  constraint sso_domains_tenant foreign key (tenant_id) references public.tenants (tenant_id),
  constraint sso_domains_provider foreign key (tenant_id, provider_id) references public.sso_providers (tenant_id, id)
    on delete set null (provider_id)
);
--> statement-breakpoint
-- Many may claim a domain; it is proved to be one tenant's.
create unique index sso_domains_verified on public.sso_domains (domain) where verified_at is not null;
--> statement-breakpoint
call app.wall('public.sso_domains');
--> statement-breakpoint
grant select, insert, delete on public.sso_domains to weir_app;
--> statement-breakpoint
grant update (verified_at, provider_id, looked_at, next_look_at, missing_since, misses, lost_at) on public.sso_domains to weir_app;
--> statement-breakpoint
create index sso_domains_due on public.sso_domains (next_look_at) where verified_at is not null;
--> statement-breakpoint
-- Who somebody is at a provider. One person, one subject: an address that is given to somebody else does not bring its
-- account along.
create table public.sso_identities (
  tenant_id text not null,
  issuer text not null,
  subject text not null,
  user_id text not null,
  provider_id text not null,
  created_at timestamptz not null default now(),
  used_at timestamptz not null default now(),
  constraint sso_identities_pk primary key (tenant_id, issuer, subject),
  constraint sso_identities_provider foreign key (tenant_id, provider_id) references public.sso_providers (tenant_id, id) on delete cascade,
  constraint sso_identities_user foreign key (user_id) references public.users (id) on delete cascade
);
--> statement-breakpoint
create unique index sso_identities_person on public.sso_identities (tenant_id, issuer, user_id);
--> statement-breakpoint
create index sso_identities_user on public.sso_identities (user_id);
--> statement-breakpoint
call app.wall('public.sso_identities');
--> statement-breakpoint
grant select, delete on public.sso_identities to weir_app;
--> statement-breakpoint
-- A sign-in under way: good once, for ten minutes, in the browser that began it.
create table public.sso_attempts (
  tenant_id text not null,
  state_hash text not null,
  browser_hash text not null,
  provider_id text not null,
  -- Nonce and PKCE verifier, or the id of the request; and where to go afterwards.
  sealed text not null,
  -- When a form brought an answer, which is looked at once; sealed, whom it vouched for; and what only the browser that posted
  -- the form was told, hashed. Without that, whoever began could have somebody else's browser answer for them.
  answered_at timestamptz,
  answer text,
  answer_hash text,
  expires_at timestamptz not null,
  constraint sso_attempts_pk primary key (tenant_id, state_hash),
  constraint sso_attempts_provider foreign key (tenant_id, provider_id) references public.sso_providers (tenant_id, id) on delete cascade
);
--> statement-breakpoint
create unique index sso_attempts_state on public.sso_attempts (state_hash);
--> statement-breakpoint
create index sso_attempts_expiry on public.sso_attempts (expires_at);
--> statement-breakpoint
call app.wall('public.sso_attempts');
--> statement-breakpoint
grant insert on public.sso_attempts to weir_app;
--> statement-breakpoint
-- The tenant's people as SCIM shows them: its members, kept in step by triggers, and those whom a provider brought and
-- who are not members just now.
create table public.scim_users (
  tenant_id text not null,
  user_id text not null,
  user_name text not null,
  -- The account's own; SCIM changes it through app.scim_update_user alone.
  email text not null,
  external_id text,
  display_name text,
  given_name text,
  family_name text,
  active boolean not null default true,
  -- Came by SCIM, or was taken over by it.
  provisioned boolean not null default false,
  -- What the provider sent and Weir only keeps.
  attributes jsonb not null default '{}',
  -- What to give back when they are a member again.
  held_role text,
  held_teams text[] not null default '{}',
  version integer not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint scim_users_pk primary key (tenant_id, user_id),
  constraint scim_users_tenant foreign key (tenant_id) references public.tenants (tenant_id),
  constraint scim_users_user foreign key (user_id) references public.users (id) on delete cascade,
  constraint scim_users_attributes check (octet_length(attributes::text) <= 32768)
);
--> statement-breakpoint
create unique index scim_users_name on public.scim_users (tenant_id, lower(user_name));
--> statement-breakpoint
create index scim_users_email on public.scim_users (tenant_id, lower(email));
--> statement-breakpoint
create index scim_users_external on public.scim_users (tenant_id, external_id) where external_id is not null;
--> statement-breakpoint
create index scim_users_user on public.scim_users (user_id);
--> statement-breakpoint
call app.wall('public.scim_users');
--> statement-breakpoint
grant select on public.scim_users to weir_app;
--> statement-breakpoint
insert into public.scim_users (tenant_id, user_id, user_name, email)
select m.tenant_id, m.user_id, u.email, u.email from public.memberships m join public.users u on u.id = m.user_id;
--> statement-breakpoint
create function app.scim_mirror_member() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'INSERT' then
    insert into public.scim_users (tenant_id, user_id, user_name, email)
    select new.tenant_id, new.user_id, case when exists (
        select from public.scim_users s where s.tenant_id = new.tenant_id and lower(s.user_name) = lower(u.email)
      ) then u.id else u.email end, u.email
    from public.users u where u.id = new.user_id
    on conflict (tenant_id, user_id) do update set active = true, version = scim_users.version + 1, updated_at = now()
      where not scim_users.active;
  else
    delete from public.scim_users where tenant_id = old.tenant_id and user_id = old.user_id and not provisioned;
    update public.scim_users set active = false, version = version + 1, updated_at = now()
    where tenant_id = old.tenant_id and user_id = old.user_id and active;
  end if;
  return null;
end
$$;
--> statement-breakpoint
create trigger scim_mirror after insert or delete on public.memberships
for each row execute function app.scim_mirror_member();
--> statement-breakpoint
create function app.scim_mirror_email() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  update public.scim_users u set email = new.email,
    user_name = case when lower(u.user_name) = lower(old.email) and not exists (
        select from public.scim_users s where s.tenant_id = u.tenant_id and lower(s.user_name) = lower(new.email)
      ) then new.email else u.user_name end,
    version = u.version + 1, updated_at = now()
  where u.user_id = new.id;
  return null;
end
$$;
--> statement-breakpoint
create trigger scim_mirror after update of email on public.users
for each row when (old.email is distinct from new.email) execute function app.scim_mirror_email();
--> statement-breakpoint
-- Where somebody signs in, before anybody is known: {"tenantId","providerId","kind"} of a provider, or of the one that a
-- verified domain signs in with; null when there is none.
create function app.find_sso(p_domain text, p_provider text) returns jsonb
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select case
    when p_provider is not null then (
      select jsonb_build_object('tenantId', tenant_id, 'providerId', id, 'kind', kind) from public.sso_providers where id = p_provider)
    else (
      select jsonb_build_object('tenantId', d.tenant_id, 'providerId', p.id, 'kind', p.kind)
      from public.sso_domains d
      join lateral (
        select id, kind from public.sso_providers
        where tenant_id = d.tenant_id and id = coalesce(d.provider_id, id) order by id limit 1
      ) p on true
      where d.domain = p_domain and d.verified_at is not null)
  end
$$;
--> statement-breakpoint
-- Proved domains whose record is to be looked at again, each given out once an hour until it was looked at, and whom to tell
-- when it is not there: who may change it.
create function app.due_domains(p_limit integer)
returns table (tenant_id text, tenant text, domain text, token text, misses integer, missing_since timestamptz, emails jsonb)
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
  with due as (
    update public.sso_domains s set next_look_at = clock_timestamp() + interval '1 hour'
    where (s.tenant_id, s.domain) in (
      select d.tenant_id, d.domain from public.sso_domains d join public.tenants t on t.tenant_id = d.tenant_id
      where d.verified_at is not null and d.next_look_at <= clock_timestamp() and t.deletes_at is null
      order by d.next_look_at limit p_limit for update of d skip locked)
    returning s.*)
  select d.tenant_id, t.name, d.domain, d.token, d.misses, d.missing_since, (
    select coalesce(jsonb_agg(e.email), '[]') from (
      select u.email from public.memberships m join public.users u on u.id = m.user_id
      where m.tenant_id = d.tenant_id and (m.role in ('owner', 'admin') or exists (
        select from public.roles r where r.tenant_id = m.tenant_id and r.id = m.role and 'sso:write' = any (r.permissions)))
      order by m.role <> 'owner', m.created_at limit 20) e)
  from due d join public.tenants t on t.tenant_id = d.tenant_id
$$;
--> statement-breakpoint
-- What a look has shown. A record that is not there is told of at the first look; in the fourth, and a week later, the domain
-- is not proved any more, and a tenant without another lets its people in by other ways again, for nobody could get in at all.
-- p_mails, [{"id","sealed"}], go with the first and the last. 'kept' | 'back' | 'missing' | 'still_missing' | 'lost' | 'gone'
create function app.note_domain_look(p_tenant text, p_domain text, p_token text, p_found boolean, p_mails jsonb) returns text
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  was public.sso_domains;
  outcome text;
  opened boolean := false;
begin
  select * into was from public.sso_domains
  where tenant_id = p_tenant and domain = p_domain and token = p_token and verified_at is not null for update;
  if not found then
    return 'gone';
  end if;
  outcome := case
    when p_found then case when was.misses = 0 then 'kept' else 'back' end
    when was.misses = 0 then 'missing'
    when was.misses >= 3 and was.missing_since <= clock_timestamp() - interval '7 days' then 'lost'
    else 'still_missing' end;
  update public.sso_domains set
    looked_at = clock_timestamp(),
    next_look_at = clock_timestamp() + interval '20 hours' + random() * interval '8 hours',
    missing_since = case when not p_found then coalesce(was.missing_since, clock_timestamp()) end,
    misses = case when p_found then 0 else was.misses + 1 end,
    verified_at = case when outcome <> 'lost' then was.verified_at end,
    lost_at = case when outcome = 'lost' then clock_timestamp() end
  where tenant_id = p_tenant and domain = p_domain;
  if outcome = 'lost' then
    update public.tenants t set require_sso = false
    where t.tenant_id = p_tenant and t.require_sso and not exists (
      select from public.sso_domains d where d.tenant_id = p_tenant and d.verified_at is not null);
    opened := found;
  end if;
  if outcome in ('missing', 'lost', 'back') then
    perform app.note(p_tenant, 'job:domains', 'sso-domain.' || outcome, 'sso-domain', p_domain, jsonb_strip_nulls(jsonb_build_object(
      'name', p_domain, 'missingSince', was.missing_since, 'requireSso', case when opened then false end)));
  end if;
  if outcome in ('missing', 'lost') then
    perform app.queue_mail(m.value ->> 'id', m.value ->> 'sealed') from jsonb_array_elements(p_mails) m;
  end if;
  return outcome;
end
$$;
--> statement-breakpoint
-- Takes a sign-in under way: {"tenantId","providerId","sealed","answer"}, once, in its own browser, and where a form has answered
-- it, in the browser that posted that; null otherwise.
create function app.take_sso_attempt(p_state_hash text, p_browser_hash text, p_answer_hash text) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  taken jsonb;
begin
  delete from public.sso_attempts
  where state_hash = p_state_hash and browser_hash = p_browser_hash and answer_hash is not distinct from p_answer_hash
    and expires_at > clock_timestamp()
  returning jsonb_build_object('tenantId', tenant_id, 'providerId', provider_id, 'sealed', sealed, 'answer', answer) into taken;
  delete from public.sso_attempts
  where (tenant_id, state_hash) in (
    select tenant_id, state_hash from public.sso_attempts where expires_at < now() order by expires_at limit 20 for update skip locked);
  return taken;
end
$$;
--> statement-breakpoint
-- An answer came for a sign-in under way at a provider of SAML: {"tenantId","providerId","sealed"} to the first, right or wrong,
-- and null to every other.
create function app.claim_sso_answer(p_state_hash text, p_provider text) returns jsonb
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
  update public.sso_attempts a set answered_at = clock_timestamp()
  where a.state_hash = p_state_hash and a.provider_id = p_provider and a.answered_at is null and a.expires_at > clock_timestamp()
    and exists (select from public.sso_providers p where p.id = a.provider_id and p.kind = 'saml')
  returning jsonb_build_object('tenantId', a.tenant_id, 'providerId', a.provider_id, 'sealed', a.sealed)
$$;
--> statement-breakpoint
-- Keeps, once and for a minute, whom the answer vouched for, until the browser that began comes for it. False when it came before.
create function app.keep_sso_answer(p_state_hash text, p_answer text, p_answer_hash text) returns boolean
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform app.need('S', 'sso:write');
  update public.sso_attempts set answer = p_answer, answer_hash = p_answer_hash, expires_at = least(expires_at, clock_timestamp() + interval '1 minute')
  where tenant_id = app.tenant_id() and state_hash = p_state_hash and answered_at is not null and answer is null;
  return found;
end
$$;
--> statement-breakpoint
-- Whether the tenant has proved to own the address's domain.
create function app.owns_address(p_tenant text, p_email text) returns boolean
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select exists (
    select from public.sso_domains
    where tenant_id = p_tenant and verified_at is not null and domain = lower(substring(p_email from '@([^@]+)$')))
$$;
--> statement-breakpoint
-- The role of whoever is in these groups, or null. Nobody becomes an owner like this; a role that is gone counts for nothing.
create function app.mapped_role(p_tenant text, p_groups text[], p_map jsonb, p_default text) returns text
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
  select role from (
    select m.value ->> 'role' as role, m.n
    from jsonb_array_elements(p_map) with ordinality m(value, n)
    where m.value ->> 'group' = any (p_groups)
    union all
    select p_default, 1000000
  ) wanted
  where role in ('admin', 'developer', 'analyst', 'operator', 'viewer', 'guest')
    or exists (select from public.roles r where r.tenant_id = p_tenant and r.id = role)
  order by n limit 1
$$;
--> statement-breakpoint
-- Ends a membership and notes what to give back; the last owner stays (WE031). What hangs on the membership goes with it.
create function app.hold_member(p_tenant text, p_user text) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  role_then text;
  owners integer;
begin
  select count(*) into owners from (
    select from public.memberships where tenant_id = p_tenant and role = 'owner' order by user_id for update) o;
  select role into role_then from public.memberships where tenant_id = p_tenant and user_id = p_user for update;
  if role_then = 'owner' and owners < 2 then
    raise exception 'a tenant keeps its last owner' using errcode = 'WE031';
  end if;
  update public.scim_users set held_role = role_then, held_teams = array(
    select team_id from public.team_members where tenant_id = p_tenant and user_id = p_user and managed_by = 'scim')
  where tenant_id = p_tenant and user_id = p_user;
  delete from public.team_members where tenant_id = p_tenant and user_id = p_user;
  delete from public.memberships where tenant_id = p_tenant and user_id = p_user;
end
$$;
--> statement-breakpoint
-- The owner of a domain says whose an address in it is. An account there whose address nobody has proved may have been
-- made by anybody: unless they are a member already, every way into it that they know is closed. The sessions that ended:
-- [{"tenantId","sessionId"}, …]
create function app.claim_account(p_tenant text, p_user text) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  update public.users set email_verified_at = clock_timestamp() where id = p_user and email_verified_at is null;
  if not found or exists (select from public.memberships where tenant_id = p_tenant and user_id = p_user) then
    return '[]';
  end if;
  update public.users set password_hash = null where id = p_user;
  delete from public.account_tokens where user_id = p_user;
  delete from public.recovery_codes where user_id = p_user;
  delete from public.factors where user_id = p_user;
  delete from public.factor_challenges where user_id = p_user;
  return app.end_families(p_user, null, null, null);
end
$$;
--> statement-breakpoint
-- Somebody whom a provider of the claim's tenant has vouched for. In one transaction: who that is here, whether they may
-- come in, their membership, role and teams.
-- {"outcome":"in","userId","email","role","was","ended","keys"} | {"outcome":"refused","reason","userId"?,"removed"?,"keys"?}
create function app.sso_arrive(
  p_provider text, p_subject text, p_email text, p_verified boolean, p_groups text[], p_new_user text, p_name text
) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.tenant_id();
  provider public.sso_providers;
  person record;
  known boolean;
  listed public.scim_users;
  role_then text;
  role_now text;
  ended jsonb := '[]';
  keys jsonb;
begin
  perform app.need('S', 'sso:write');
  select * into provider from public.sso_providers where tenant_id = tenant and id = p_provider;
  if not found then
    return jsonb_build_object('outcome', 'refused', 'reason', 'provider_gone');
  end if;
  -- A subject of the one kind is nobody's of the other, though both may come from one server.
  if provider.kind = 'saml' then
    provider.issuer := 'saml:' || provider.issuer;
  end if;
  select u.id, u.email into person
  from public.sso_identities i join public.users u on u.id = i.user_id
  where i.tenant_id = tenant and i.issuer = provider.issuer and i.subject = p_subject;
  known := found;
  if not known then
    if p_email is null or not p_verified then
      return jsonb_build_object('outcome', 'refused', 'reason', 'email_unverified');
    end if;
    if not app.owns_address(tenant, p_email) then
      return jsonb_build_object('outcome', 'refused', 'reason', 'domain_not_owned');
    end if;
    select u.id, u.email into person from public.users u where lower(u.email) = lower(p_email);
    if not found then
      if not provider.jit then
        return jsonb_build_object('outcome', 'refused', 'reason', 'not_provisioned');
      end if;
      role_now := app.mapped_role(tenant, p_groups, provider.role_map, provider.default_role);
      if role_now is null then
        return jsonb_build_object('outcome', 'refused', 'reason', 'no_role');
      end if;
      insert into public.users (id, email, email_verified_at) values (p_new_user, p_email, clock_timestamp()) on conflict do nothing;
      select u.id, u.email into person from public.users u where lower(u.email) = lower(p_email);
    elsif exists (select from public.sso_identities where tenant_id = tenant and issuer = provider.issuer and user_id = person.id) then
      return jsonb_build_object('outcome', 'refused', 'reason', 'other_subject', 'userId', person.id);
    end if;
  elsif not app.owns_address(tenant, person.email) then
    return jsonb_build_object('outcome', 'refused', 'reason', 'domain_not_owned', 'userId', person.id);
  end if;

  keys := app.keys_of(person.id, tenant);
  select * into listed from public.scim_users where tenant_id = tenant and user_id = person.id for update;
  if listed.provisioned and not listed.active then
    return jsonb_build_object('outcome', 'refused', 'reason', 'suspended', 'userId', person.id);
  end if;
  select m.role into role_then from public.memberships m where m.tenant_id = tenant and m.user_id = person.id for update;
  if role_then is null and not provider.jit then
    return jsonb_build_object('outcome', 'refused', 'reason', 'not_a_member', 'userId', person.id);
  end if;
  role_now := case
    when role_then = 'owner' or role_then is not null and provider.groups_claim is null then role_then
    else app.mapped_role(tenant, p_groups, provider.role_map, provider.default_role)
  end;
  if role_now is null then
    if role_then is not null then
      perform app.hold_member(tenant, person.id);
      update public.scim_users set active = true where tenant_id = tenant and user_id = person.id;
    end if;
    return jsonb_build_object('outcome', 'refused', 'reason', 'no_role', 'userId', person.id, 'removed', role_then is not null, 'keys', keys);
  end if;

  if not known then
    ended := app.claim_account(tenant, person.id);
  end if;
  insert into public.memberships (tenant_id, user_id, role) values (tenant, person.id, role_now)
  on conflict (tenant_id, user_id) do update set role = excluded.role where memberships.role <> excluded.role;
  insert into public.sso_identities (tenant_id, issuer, subject, user_id, provider_id)
  values (tenant, provider.issuer, p_subject, person.id, provider.id)
  on conflict (tenant_id, issuer, subject) do update set used_at = now(), provider_id = excluded.provider_id;
  update public.scim_users set display_name = p_name, version = version + 1, updated_at = now()
  where tenant_id = tenant and user_id = person.id and not provisioned and p_name is not null and display_name is distinct from p_name;
  if provider.groups_claim is not null then
    delete from public.team_members m using public.teams t
    where m.tenant_id = tenant and m.user_id = person.id and m.managed_by = 'sso'
      and t.tenant_id = tenant and t.id = m.team_id and t.name <> all (p_groups);
    insert into public.team_members (tenant_id, team_id, user_id, managed_by)
    select tenant, t.id, person.id, 'sso' from public.teams t where t.tenant_id = tenant and t.name = any (p_groups)
    on conflict do nothing;
  end if;
  return jsonb_build_object('outcome', 'in', 'userId', person.id, 'email', person.email, 'role', role_now, 'was', role_then, 'ended', ended, 'keys', keys);
end
$$;
--> statement-breakpoint
-- That somebody was not let in, for the tenant's own log: it is where a provider's mistakes are found.
create function app.note_sso_refusal(p_provider text, p_reason text, p_details jsonb) returns void
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.tenant_id();
begin
  perform app.need('S', 'sso:write');
  perform app.note(tenant, app.actor(), 'sso.refused', 'sso-provider', p_provider,
    p_details || jsonb_build_object('reason', p_reason));
end
$$;
--> statement-breakpoint
-- Brings the membership to what SCIM says: [{"userId","role","keys"}] when it changed, a role of null being no membership.
-- A role by hand stays where no role map says otherwise, and an owner's always.
create function app.scim_reconcile(p_tenant text, p_user text) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  listed public.scim_users;
  role_then text;
  role_now text;
  map jsonb;
  fallback text;
  -- The hashes of their own keys, which end with the membership.
  keys jsonb := app.keys_of(p_user, p_tenant);
begin
  select * into listed from public.scim_users where tenant_id = p_tenant and user_id = p_user for update;
  select m.role into role_then from public.memberships m where m.tenant_id = p_tenant and m.user_id = p_user for update;
  if not listed.provisioned then
    return '[]';
  end if;
  if not listed.active then
    role_now := null;
  elsif role_then = 'owner' then
    role_now := role_then;
  else
    select p.role_map, p.default_role into map, fallback from public.sso_providers p where p.tenant_id = p_tenant order by p.id limit 1;
    if not found or map = '[]' then
      role_now := coalesce(role_then, nullif(listed.held_role, 'owner'), app.mapped_role(p_tenant, '{}', '[]', fallback), 'viewer');
    else
      role_now := app.mapped_role(p_tenant, array(
        select t.name from public.teams t where t.tenant_id = p_tenant and (t.id = any (listed.held_teams) or exists (
          select from public.team_members m
          where m.tenant_id = p_tenant and m.team_id = t.id and m.user_id = p_user and m.managed_by = 'scim'))), map, fallback);
    end if;
  end if;
  if role_now is not distinct from role_then then
    return '[]';
  end if;
  if role_now is null then
    perform app.hold_member(p_tenant, p_user);
    update public.scim_users set active = listed.active where tenant_id = p_tenant and user_id = p_user;
  else
    insert into public.memberships (tenant_id, user_id, role) values (p_tenant, p_user, role_now)
    on conflict (tenant_id, user_id) do update set role = excluded.role;
    insert into public.team_members (tenant_id, team_id, user_id, managed_by)
    select p_tenant, t.id, p_user, 'scim' from public.teams t where t.tenant_id = p_tenant and t.id = any (listed.held_teams)
    on conflict do nothing;
    update public.scim_users set held_teams = '{}', held_role = null where tenant_id = p_tenant and user_id = p_user;
  end if;
  return jsonb_build_array(jsonb_build_object('userId', p_user, 'role', role_now, 'keys', keys));
end
$$;
--> statement-breakpoint
-- {"outcome":"made","userId","changes","ended"} | {"outcome":"taken"|"domain_not_owned"}
create function app.scim_create_user(p_new_user text, p_user jsonb) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.tenant_id();
  person text;
  ended jsonb;
begin
  perform app.need('I', 'scim:write');
  if not app.owns_address(tenant, p_user ->> 'email') then
    return '{"outcome":"domain_not_owned"}';
  end if;
  if exists (select from public.scim_users where tenant_id = tenant
    and (lower(user_name) = lower(p_user ->> 'userName') or lower(email) = lower(p_user ->> 'email'))) then
    return '{"outcome":"taken"}';
  end if;
  insert into public.users (id, email, email_verified_at) values (p_new_user, p_user ->> 'email', clock_timestamp()) on conflict do nothing;
  select id into person from public.users where lower(email) = lower(p_user ->> 'email');
  insert into public.scim_users (tenant_id, user_id, user_name, email, external_id, display_name, given_name, family_name,
    active, provisioned, attributes)
  values (tenant, person, p_user ->> 'userName', p_user ->> 'email', p_user ->> 'externalId', p_user ->> 'displayName',
    p_user ->> 'givenName', p_user ->> 'familyName', (p_user ->> 'active')::boolean, true, p_user -> 'attributes')
  on conflict do nothing;
  if not found then
    return '{"outcome":"taken"}';
  end if;
  ended := app.claim_account(tenant, person);
  return jsonb_build_object('outcome', 'made', 'userId', person, 'changes', app.scim_reconcile(tenant, person), 'ended', ended);
end
$$;
--> statement-breakpoint
-- {"outcome":"changed","changes"} | {"outcome":"absent"|"stale"|"taken"|"domain_not_owned"}. The address is changed only
-- within the tenant's own domains.
create function app.scim_update_user(p_id text, p_versions integer[], p_user jsonb) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.tenant_id();
  listed public.scim_users;
begin
  perform app.need('I', 'scim:write');
  select * into listed from public.scim_users where tenant_id = tenant and user_id = p_id for update;
  if not found then
    return '{"outcome":"absent"}';
  end if;
  if listed.version <> all (p_versions) then
    return '{"outcome":"stale"}';
  end if;
  if lower(p_user ->> 'email') <> lower(listed.email) then
    if not app.owns_address(tenant, listed.email) or not app.owns_address(tenant, p_user ->> 'email') then
      return '{"outcome":"domain_not_owned"}';
    end if;
    update public.users set email = p_user ->> 'email', email_verified_at = clock_timestamp() where id = p_id;
    -- Links that went to the address before.
    delete from public.account_tokens where user_id = p_id;
  end if;
  update public.scim_users set user_name = p_user ->> 'userName', external_id = p_user ->> 'externalId',
    display_name = p_user ->> 'displayName', given_name = p_user ->> 'givenName', family_name = p_user ->> 'familyName',
    active = (p_user ->> 'active')::boolean, provisioned = true, attributes = p_user -> 'attributes',
    version = listed.version + 1, updated_at = now()
  where tenant_id = tenant and user_id = p_id;
  return jsonb_build_object('outcome', 'changed', 'changes', app.scim_reconcile(tenant, p_id));
exception when unique_violation then
  return '{"outcome":"taken"}';
end
$$;
--> statement-breakpoint
-- Takes somebody out of the tenant; the account itself is theirs. {"outcome":"changed","changes"} | {"outcome":"absent"|"stale"}
create function app.scim_delete_user(p_id text, p_versions integer[]) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.tenant_id();
  listed public.scim_users;
  keys jsonb := app.keys_of(p_id, tenant);
begin
  perform app.need('I', 'scim:write');
  select * into listed from public.scim_users where tenant_id = tenant and user_id = p_id for update;
  if not found then
    return '{"outcome":"absent"}';
  end if;
  if listed.version <> all (p_versions) then
    return '{"outcome":"stale"}';
  end if;
  perform app.hold_member(tenant, p_id);
  delete from public.sso_identities where tenant_id = tenant and user_id = p_id;
  delete from public.scim_users where tenant_id = tenant and user_id = p_id;
  return jsonb_build_object('outcome', 'changed', 'changes', jsonb_build_array(jsonb_build_object('userId', p_id, 'role', null, 'keys', keys)));
end
$$;
--> statement-breakpoint
-- Makes or changes a team from outside. p_change: {"name"?,"externalId"?,"members"? (all of them),"add"?,"remove"?}.
-- {"outcome":"done","changes"} | {"outcome":"absent"|"stale"|"taken"|"unknown_member"}
create function app.scim_write_group(p_id text, p_is_new boolean, p_versions integer[], p_change jsonb) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.tenant_id();
  team public.teams;
  now_in text[];
  wanted text[];
  person text;
  changes jsonb := '[]';
begin
  perform app.need('I', 'scim:write');
  if p_is_new then
    insert into public.teams (tenant_id, id, name, external_id)
    values (tenant, p_id, p_change ->> 'name', p_change ->> 'externalId') on conflict do nothing;
    if not found then
      return '{"outcome":"taken"}';
    end if;
  end if;
  select * into team from public.teams where tenant_id = tenant and id = p_id for update;
  if not found then
    return '{"outcome":"absent"}';
  end if;
  if team.scim_version <> all (p_versions) then
    return '{"outcome":"stale"}';
  end if;
  now_in := array(select user_id from public.team_members where tenant_id = tenant and team_id = p_id
    union select user_id from public.scim_users where tenant_id = tenant and p_id = any (held_teams));
  wanted := case when p_change ? 'members' then array(select jsonb_array_elements_text(p_change -> 'members')) else now_in end;
  wanted := array(
    (select unnest(wanted) union select jsonb_array_elements_text(coalesce(p_change -> 'add', '[]')))
    except select jsonb_array_elements_text(coalesce(p_change -> 'remove', '[]')));
  if exists (select unnest(wanted) except select user_id from public.scim_users where tenant_id = tenant and user_id = any (wanted)) then
    if p_is_new then
      delete from public.teams where tenant_id = tenant and id = p_id;
    end if;
    return '{"outcome":"unknown_member"}';
  end if;
  if not p_is_new then
    update public.teams set name = coalesce(p_change ->> 'name', name),
      external_id = case when p_change ? 'externalId' then p_change ->> 'externalId' else external_id end,
      scim_version = scim_version + 1, scim_at = now()
    where tenant_id = tenant and id = p_id;
  end if;
  delete from public.team_members where tenant_id = tenant and team_id = p_id and user_id <> all (wanted);
  update public.scim_users set held_teams = array_remove(held_teams, p_id)
  where tenant_id = tenant and p_id = any (held_teams) and user_id <> all (wanted);
  insert into public.team_members (tenant_id, team_id, user_id, managed_by)
  select tenant, p_id, m.user_id, 'scim' from public.memberships m where m.tenant_id = tenant and m.user_id = any (wanted)
  on conflict (tenant_id, team_id, user_id) do update set managed_by = 'scim' where team_members.managed_by is distinct from 'scim';
  update public.scim_users s set held_teams = s.held_teams || p_id
  where s.tenant_id = tenant and s.user_id = any (wanted) and p_id <> all (s.held_teams)
    and not exists (select from public.memberships m where m.tenant_id = tenant and m.user_id = s.user_id);
  -- In the order of their ids, so that two changes at once wait for each other and do not block each other.
  for person in
    select unnest(case when p_change ? 'name' then now_in || wanted else
      array((select unnest(now_in) except select unnest(wanted)) union all (select unnest(wanted) except select unnest(now_in))) end)
    order by 1
  loop
    changes := changes || app.scim_reconcile(tenant, person);
  end loop;
  return jsonb_build_object('outcome', 'done', 'changes', changes);
exception when unique_violation then
  return '{"outcome":"taken"}';
end
$$;
--> statement-breakpoint
-- {"outcome":"done","changes"} | {"outcome":"absent"|"stale"}
create function app.scim_delete_group(p_id text, p_versions integer[]) returns jsonb
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  tenant text := app.tenant_id();
  emptied jsonb := app.scim_write_group(p_id, false, p_versions, '{"members": []}');
begin
  if emptied ->> 'outcome' = 'done' then
    delete from public.teams where tenant_id = tenant and id = p_id;
  end if;
  return emptied;
end
$$;
--> statement-breakpoint
do $$
declare
  signature text;
begin
  foreach signature in array array[
    'app.scim_mirror_member()',
    'app.scim_mirror_email()',
    'app.owns_address(text, text)',
    'app.mapped_role(text, text[], jsonb, text)',
    'app.hold_member(text, text)',
    'app.claim_account(text, text)',
    'app.scim_reconcile(text, text)',
    'app.find_sso(text, text)',
    'app.due_domains(integer)',
    'app.note_domain_look(text, text, text, boolean, jsonb)',
    'app.take_sso_attempt(text, text, text)',
    'app.claim_sso_answer(text, text)',
    'app.keep_sso_answer(text, text, text)',
    'app.sso_arrive(text, text, text, boolean, text[], text, text)',
    'app.note_sso_refusal(text, text, jsonb)',
    'app.scim_create_user(text, jsonb)',
    'app.scim_update_user(text, integer[], jsonb)',
    'app.scim_delete_user(text, integer[])',
    'app.scim_write_group(text, boolean, integer[], jsonb)',
    'app.scim_delete_group(text, integer[])'
  ] loop
    execute format('alter function %s owner to weir_system', signature);
    execute format('revoke all on function %s from public', signature);
  end loop;
  foreach signature in array array[
    'app.find_sso(text, text)',
    'app.due_domains(integer)',
    'app.note_domain_look(text, text, text, boolean, jsonb)',
    'app.take_sso_attempt(text, text, text)',
    'app.claim_sso_answer(text, text)',
    'app.keep_sso_answer(text, text, text)',
    'app.sso_arrive(text, text, text, boolean, text[], text, text)',
    'app.note_sso_refusal(text, text, jsonb)',
    'app.scim_create_user(text, jsonb)',
    'app.scim_update_user(text, integer[], jsonb)',
    'app.scim_delete_user(text, integer[])',
    'app.scim_write_group(text, boolean, integer[], jsonb)',
    'app.scim_delete_group(text, integer[])'
  ] loop
    execute format('grant execute on function %s to weir_app', signature);
  end loop;
end
$$;
--> statement-breakpoint
revoke create on schema app from weir_system;
