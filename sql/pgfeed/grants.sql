-- grants.sql: nobody but the owner and the gateways gets at the log, and writers need no right at all.
revoke all on schema pgfeed from public;
revoke all on all tables in schema pgfeed from public;
revoke all on all functions in schema pgfeed from public;
revoke all on function public.notify_table_change() from public;

-- Trigger functions run as their owner, and so do casts to json that users define for their own types.
-- So their owner should be a role that can do nothing else. Who may not create roles does without.
do $do$
declare
  v_function record;
  v_lend     boolean;   -- a function can only be given to a role that may create it where it is
begin
  begin
    create role pgfeed_owner nologin;
    comment on role pgfeed_owner is 'Owns the trigger functions of pgfeed and may only write its log.';
  exception when duplicate_object or unique_violation or insufficient_privilege then
    null;
  end;
  if pg_catalog.to_regrole('pgfeed_owner') is null then return; end if;
  if not pg_catalog.pg_has_role('pgfeed_owner', 'usage') then
    execute pg_catalog.format('grant pgfeed_owner to %I', current_user);
  end if;

  grant usage, create on schema pgfeed to pgfeed_owner;
  grant select, insert, delete on pgfeed.log, pgfeed.tick to pgfeed_owner;
  grant select, update on pgfeed.meta to pgfeed_owner;
  grant select on pgfeed.watch_list, pgfeed.grantee, pgfeed.watched to pgfeed_owner;
  grant execute on all functions in schema pgfeed to pgfeed_owner;
  v_lend := not pg_catalog.has_schema_privilege('pgfeed_owner', 'public', 'create');
  if v_lend then grant create on schema public to pgfeed_owner; end if;
  for v_function in
    select p.oid::regprocedure as name from pg_catalog.pg_proc p
     where p.prosecdef and p.proowner <> 'pgfeed_owner'::regrole
       and (p.pronamespace = 'pgfeed'::regnamespace or p.oid = 'public.notify_table_change()'::regprocedure)
  loop
    execute pg_catalog.format('alter function %s owner to pgfeed_owner', v_function.name);
    execute pg_catalog.format('grant execute on function %s to %I', v_function.name, current_user);
  end loop;
  if v_lend then revoke create on schema public from pgfeed_owner; end if;
  revoke create on schema pgfeed from pgfeed_owner;
exception when insufficient_privilege then
  raise notice 'the feed runs as %, for role pgfeed_owner cannot be used: %', current_user, sqlerrm;
end
$do$;
