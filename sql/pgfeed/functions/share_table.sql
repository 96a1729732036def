-- pgfeed.share_table(p_id): gives the roles that need it SELECT on a watched table.
--
-- Gateways read rows for snapshots; the owner of the trigger functions reads a row again where
-- other triggers may have changed it, and nowhere else. What was given is remembered, for unwatch()
-- to take back.
-- Parameters: p_id pgfeed.watch_list.id. Run it as the owner of the table.
-- Calls: pgfeed.has_other_triggers. Tables touched: reads pgfeed.grantee; updates
--   pgfeed.watch_list.
create or replace function pgfeed.share_table(p_id integer) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $fn$
declare
  v_rel  regclass := (select w.rel from pgfeed.watch_list w where w.id = p_id);
  v_role name;
begin
  for v_role in
    select g.role from pgfeed.grantee g
    union
    select r.rolname from pg_proc p join pg_roles r on r.oid = p.proowner
     where p.oid = to_regprocedure('pgfeed.capture()') and pgfeed.has_other_triggers(v_rel)
  loop
    continue when to_regrole(quote_ident(v_role)) is null or has_table_privilege(v_role, v_rel, 'select');
    execute format('grant select on %s to %I', v_rel, v_role);
    update pgfeed.watch_list w set granted_to = w.granted_to || v_role where w.id = p_id;
  end loop;
end
$fn$;

comment on function pgfeed.share_table(integer) is 'Gives gateways SELECT on a watched table.';
