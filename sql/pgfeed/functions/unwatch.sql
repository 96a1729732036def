-- pgfeed.unwatch(rel): takes a table off the feed.
--
-- Parameters: rel the table. Run it as the owner of the table.
-- Returns: how many triggers were dropped; those written by hand with notify_table_change() among
--   them.
-- Tables touched: deletes from pgfeed.watch_list. Takes back the SELECT that watch() gave to
--   gateways, and not USAGE on the schema.
create or replace function pgfeed.unwatch(rel regclass) returns integer
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $fn$
#variable_conflict use_column
declare
  v_watch   pgfeed.watch_list;
  v_trigger record;
  v_role    name;
  v_count   integer := 0;
begin
  perform pg_advisory_xact_lock(1128678482, 0);
  select w.* into v_watch from pgfeed.watch_list w where w.rel = unwatch.rel;
  for v_trigger in
    select g.tgname, g.tgrelid::regclass as rel from pg_trigger g
     where g.tgparentid = 0 and not g.tgisinternal
       and (g.tgrelid = unwatch.rel
              and g.tgfoid in (to_regprocedure('pgfeed.capture()'), to_regprocedure('pgfeed.capture_update()'),
                               to_regprocedure('public.notify_table_change()'))
            or g.tgfoid in (to_regprocedure('pgfeed.capture()'), to_regprocedure('pgfeed.capture_update()'))
              and starts_with(encode(g.tgargs, 'escape'), v_watch.id || '\000'))
  loop
    execute format('drop trigger %I on %s', v_trigger.tgname, v_trigger.rel);
    v_count := v_count + 1;
  end loop;
  foreach v_role in array coalesce(v_watch.granted_to, '{}') loop
    if to_regrole(quote_ident(v_role)) is not null then
      execute format('revoke select on %s from %I', unwatch.rel, v_role);
    end if;
  end loop;
  delete from pgfeed.watch_list w where w.rel = unwatch.rel;
  perform pgfeed.tell_gateways();
  return v_count;
end
$fn$;

comment on function pgfeed.unwatch(regclass) is
  'Takes a table off the feed. Run it as the owner of the table.';
