-- What the policies of the tables ask for that 0009 has not gated: the permission in the claim, as the actions do. In the end
-- every policy of weir_app asks for more than the tenant, but for those of app.asks_only_for_tenant, which say why not;
-- test/access/matrix.test.ts tries them all.

-- Whether it is our own work and nobody's request.
create function app.is_job() returns boolean
language sql stable parallel safe
as $$ select app.actor_kind(app.actor()) = 'job' $$;
--> statement-breakpoint
-- The person whose rights the claim has: its actor, or whose key the actor is.
create function app.person() returns text
language sql stable parallel safe
as $$ select coalesce(nullif(split_part(app.scope(), ':', 5), ''), app.actor()) $$;
--> statement-breakpoint
-- Has the policies of a walled table ask for these conditions as well as for the tenant; p_writes is of all three commands.
-- Who may change a row may find it, so p_reads must hold wherever p_writes does.
create procedure app.ask(target regclass, p_reads text, p_writes text)
language plpgsql
as $$
declare
  own constant text := 'tenant_id = (select app.tenant_id()) and (%s)';
  reads text := format(own, p_reads);
  writes text := format(own, p_writes);
begin
  execute format('alter policy tenant_select on %s using (%s)', target, reads);
  execute format('alter policy tenant_insert on %s with check (%s)', target, writes);
  execute format('alter policy tenant_update on %s using (%s) with check (%s)', target, writes, writes);
  execute format('alter policy tenant_delete on %s using (%s)', target, writes);
end
$$;
--> statement-breakpoint
do $$
declare
  t text;
begin
  -- Of one permission to read and one to write.
  call app.gate('public.memberships', 'm', 'M', null);
  call app.gate('public.sessions', 'm', 'M', null);
  call app.gate('public.former_members', 'm', 'M', null);
  call app.gate('public.invitations', 'm', 'M', null);
  call app.gate('public.service_accounts', 'k', 'K', null);
  call app.gate('public.integrations', 't', 'T', null);
  call app.gate('public.channels', 'c', 'C', null);
  call app.gate('public.sso_providers', 's', 'S', null);
  call app.gate('public.sso_domains', 's', 'S', null);
  call app.gate('public.sso_identities', 's', 'S', null);
  call app.gate('public.stored_files', 'c', 'C', 'app.reach_connection(%L, connection_id)');

  -- Of one permission for everything.
  call app.ask('public.sso_attempts', '(select app.may(''S''))', '(select app.may(''S''))');
  call app.ask('public.scim_users', '(select app.may(''I''))', '(select app.may(''I''))');

  -- Nobody writes the log by hand, and what is counted is nobody's but the engine's.
  foreach t in array array['audit_entries', 'audit_heads'] loop
    call app.ask(('public.' || t)::regclass, '(select app.may(''u''))', 'false');
  end loop;
  foreach t in array array['meterings', 'usage', 'usage_totals', 'request_counts'] loop
    call app.ask(('public.' || t)::regclass, '(select app.may(''g''))', 'false');
  end loop;

  -- A stream takes the log out, and to a place of somebody's choice.
  call app.ask('public.audit_streams', '(select app.may(''u''))', '(select app.may(''u'')) and (select app.may(''C''))');
  -- A provider over SCIM sees the teams; a place in one brings its grants along.
  call app.ask('public.teams', '(select app.may_any(''mMI''))', '(select app.may(''M''))');
  call app.ask('public.team_members', '(select app.may_any(''mMI''))', '(select app.may(''M''))');
  alter policy tenant_insert on public.team_members
    with check (tenant_id = (select app.tenant_id()) and (select app.may('M')) and (select app.may('A')));
  alter policy tenant_update on public.team_members
    with check (tenant_id = (select app.tenant_id()) and (select app.may('M')) and (select app.may('A')));

  -- Who may change one setting finds the row; which columns, the triggers below say.
  call app.ask('public.tenants', '(select app.may_any(''tTLSg''))', '(select app.may_any(''TLS''))');

  -- One's own keys nobody needs to allow, for they can do no more than their owner. Others make keys of service accounts.
  call app.ask('public.api_keys', '(select app.may_any(''kK'')) or user_id = (select app.actor())',
    '(select app.may(''K'')) or user_id = (select app.actor())');
  alter policy tenant_insert on public.api_keys with check (tenant_id = (select app.tenant_id())
    and ((select app.may('K')) and (user_id is null or user_id = (select app.person())) or user_id = (select app.actor())));

  -- What is on its way is written and taken by jobs; answers are kept for whoever asked.
  call app.ask('public.outbox', '(select app.is_job())', '(select app.is_job())');
  call app.ask('public.idempotency_keys', 'actor = (select app.actor())', 'actor = (select app.actor())');
end
$$;
--> statement-breakpoint
-- Policies of weir_app that ask only for the tenant, and why.
create table app.asks_only_for_tenant (
  name text not null,
  command text not null,
  reason text not null,
  primary key (name, command)
);
--> statement-breakpoint
insert into app.asks_only_for_tenant (name, command, reason) values
  ('data_keys', 'select', 'sealed with a key that the database does not have; needed for every secret, also of what a grant reaches'),
  ('data_keys', 'insert', 'whoever seals the first secret of a tenant makes it; what is there stays'),
  ('calendars', 'select', 'names of days; needed by whoever writes a pipeline that a grant reaches');
--> statement-breakpoint
-- Nobody but definer functions reads the hashes of refresh tokens, and nobody seals a data key anew.
revoke select on public.sessions from weir_app;
--> statement-breakpoint
revoke update (sealed) on public.data_keys from weir_app;
--> statement-breakpoint
-- A key keeps its owner, its scopes and its project for as long as it lives.
revoke update on public.api_keys from weir_app;
--> statement-breakpoint
grant update (revoked_at, replaced_by, expires_at) on public.api_keys to weir_app;
--> statement-breakpoint
-- Columns of a table that need a permission of their own.
create function app.guard_columns() returns trigger
language plpgsql
as $$
begin
  if not coalesce(app.may(tg_argv[0]), false) then
    raise exception '%', tg_argv[1] using errcode = 'WE403';
  end if;
  return new;
end
$$;
--> statement-breakpoint
create trigger guard_limits before update of max_run_ms, retention_days on public.tenants for each row
  when (current_user = 'weir_app') execute function app.guard_columns('L', 'limits:write');
--> statement-breakpoint
create trigger guard_sso before update of require_sso on public.tenants for each row
  when (current_user = 'weir_app') execute function app.guard_columns('S', 'sso:write');
--> statement-breakpoint
create trigger guard_settings
  before update of name, request_limits, origins, ip_allow, mfa_roles, settings, audit_retention_days, log_retention_days
  on public.tenants for each row
  when (current_user = 'weir_app') execute function app.guard_columns('T', 'tenant:write');
--> statement-breakpoint
-- The name of the claim's tenant, which everybody who is let in is shown.
create function app.tenant_name() returns text
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$ select name from public.tenants where tenant_id = app.tenant_id() $$;
--> statement-breakpoint
grant create on schema app to weir_system;
--> statement-breakpoint
alter function app.tenant_name() owner to weir_system;
--> statement-breakpoint
revoke all on function app.tenant_name() from public;
--> statement-breakpoint
grant execute on function app.tenant_name() to weir_app;
--> statement-breakpoint
revoke create on schema app from weir_system;
