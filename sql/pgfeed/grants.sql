-- grants.sql: nobody but the owner and the gateways gets at the log, and writers need no right at
-- all.
revoke all on schema pgfeed from public;
revoke all on all tables in schema pgfeed from public;
revoke all on all functions in schema pgfeed from public;
revoke all on function public.notify_table_change() from public;

-- Trigger functions run as their owner, and so do casts to json that users define for their own
-- types.
-- So their owner should be a role that can do nothing else, not even read the rows of the log. Who
-- may not create roles does without.
do $do$
declare
  v_function regprocedure;
  v_lend     boolean;   -- a function can only be given to a role that may create it where it is
begin
  begin
    create role pgfeed_owner nologin;
    comment on role pgfeed_owner is
      'Owns the trigger functions of pgfeed and may only write its log.';
  exception when duplicate_object or unique_violation or insufficient_privilege then
    null;
  end;
  if pg_catalog.to_regrole('pgfeed_owner') is null then return; end if;
  if not pg_catalog.pg_has_role('pgfeed_owner', 'usage') then
    execute pg_catalog.format('grant pgfeed_owner to %I', current_user);
  end if;

  grant usage, create on schema pgfeed to pgfeed_owner;
  grant insert on pgfeed.log to pgfeed_owner;
  grant select (id, xid, watch, rel, op) on pgfeed.log to pgfeed_owner;
  grant select on pgfeed.watch_list to pgfeed_owner;
  grant execute on function
    pgfeed.can_look(integer, oid), pgfeed.capture_careful(integer, oid, text, record, record, boolean),
    pgfeed.capture_truncate(integer, oid), pgfeed.capture_update_nested(integer, oid, text, record, record),
    pgfeed.current_row(integer, oid, json, json),
    pgfeed.has_other_triggers(regclass), pgfeed.key_columns(integer, oid), pgfeed.key_of(integer, oid, record),
    pgfeed.is_inner(integer, oid), pgfeed.note_depth(), pgfeed.note_inner(integer, oid), pgfeed.note_large(),
    pgfeed.row_json(oid, record), pgfeed.rows_of(text, oid, boolean),
    pgfeed.wake(integer, oid, text) to pgfeed_owner;
  v_lend := not pg_catalog.has_schema_privilege('pgfeed_owner', 'public', 'create');
  if v_lend then grant create on schema public to pgfeed_owner; end if;
  foreach v_function in array array['pgfeed.capture()', 'pgfeed.capture_update()',
                                   'public.notify_table_change()']::regprocedure[] loop
    execute pg_catalog.format('alter function %s owner to pgfeed_owner', v_function);
    execute pg_catalog.format('grant execute on function %s to %I', v_function, current_user);
  end loop;
  if v_lend then revoke create on schema public from pgfeed_owner; end if;
  revoke create on schema pgfeed from pgfeed_owner;
exception when insufficient_privilege then
  raise notice 'the feed runs as %, for role pgfeed_owner cannot be used: %', current_user, sqlerrm;
end
$do$;
