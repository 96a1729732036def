-- upgrade.sql: brings the triggers of tables that are watched already up to date, as far as they
-- are ours.
-- Those that are right are left alone; pgfeed.status() names the rest.
do $do$
declare
  v_role  name;
  v_watch record;
begin
  for v_watch in
    select w.* from pgfeed.watch_list w
      join pg_catalog.pg_class c on c.oid = w.rel
     where pg_catalog.pg_has_role(c.relowner, 'usage')
     order by w.id
  loop
    if exists (select from pgfeed.triggers_of(v_watch.id) t where t.state <> 'ok')
       -- Refused by watch(), which would end the installation; status() tells it.
       and not exists (select from pgfeed.strange_code(v_watch.rel)) then
      perform pgfeed.watch(v_watch.rel, v_watch.wake, v_watch.level);
    else
      perform pgfeed.share_table(v_watch.id);
    end if;
  end loop;
  -- Gateways need what this version brings.
  for v_role in
    select g.role from pgfeed.grantee g join pg_catalog.pg_roles r on r.rolname = g.role
  loop
    perform pgfeed.grant_to(v_role);
  end loop;
end
$do$;
