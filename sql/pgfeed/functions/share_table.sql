-- pgfeed.share_table(p_id): gives the roles that need it USAGE on the schema of a watched table, and
-- SELECT on the table.
--
-- Gateways read rows for snapshots. The owner of the trigger functions names the table where a row
-- is large, and reads a row again where other triggers may have changed it, and nowhere else.
-- What SELECT was given is remembered, for unwatch() to take back; USAGE stays, for it shows no row
-- and others may have come to rely on it.
-- Parameters: p_id pgfeed.watch_list.id. Run it as the owner of the table.
-- Calls: pgfeed.has_other_triggers. Tables touched: reads pgfeed.grantee; updates
--   pgfeed.watch_list.
create or replace function pgfeed.share_table(p_id integer) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $fn$
declare
  v_rel    regclass := (select w.rel from pgfeed.watch_list w where w.id = p_id);
  v_schema regnamespace := (select c.relnamespace from pg_class c where c.oid = v_rel);
  v_role   record;
begin
  for v_role in
    select r.rolname as name, bool_or(n.reads) as reads
      from (select g.role, true from pgfeed.grantee g
            union all
            select pg_get_userbyid(p.proowner), pgfeed.has_other_triggers(v_rel) from pg_proc p
             where p.oid = to_regprocedure('pgfeed.capture()')) n (role, reads)
      join pg_roles r on r.rolname = n.role
     group by r.rolname
  loop
    if not has_schema_privilege(v_role.name, v_schema::oid, 'usage') then
      -- Tables may belong to others than their schema. pgfeed.status() tells what is left to do.
      begin
        execute format('grant usage on schema %s to %I', v_schema, v_role.name);
      exception when insufficient_privilege then
        raise notice 'the owner of schema % must give % USAGE on it', v_schema, v_role.name;
      end;
    end if;
    continue when not v_role.reads or has_table_privilege(v_role.name, v_rel, 'select');
    execute format('grant select on %s to %I', v_rel, v_role.name);
    update pgfeed.watch_list w set granted_to = w.granted_to || v_role.name where w.id = p_id;
  end loop;
end
$fn$;

comment on function pgfeed.share_table(integer) is
  'Gives gateways USAGE on the schema of a watched table and SELECT on the table.';
