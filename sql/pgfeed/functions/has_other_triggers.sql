-- pgfeed.has_other_triggers(p_rel): whether triggers that are not the feed's may write again after
-- a write.
--
-- Parameters: p_rel the table. AFTER triggers of others count, and foreign keys of the table to
--   itself that act.
-- Tables touched: catalog only.
create or replace function pgfeed.has_other_triggers(p_rel regclass) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select exists (select from pg_trigger t
                  where t.tgrelid = p_rel and not t.tgisinternal and t.tgtype & 2 = 0
                    and t.tgfoid not in (select p.oid from pg_proc p
                                          where p.oid in (to_regprocedure('pgfeed.capture()'),
                                                          to_regprocedure('pgfeed.capture_update()'),
                                                          to_regprocedure('public.notify_table_change()'))))
      or exists (select from pg_constraint f
                  where f.conrelid = p_rel and f.confrelid = p_rel and f.contype = 'f'
                    and (f.confdeltype in ('c', 'n', 'd') or f.confupdtype in ('c', 'n', 'd')))
$fn$;

comment on function pgfeed.has_other_triggers(regclass) is
  'Whether other triggers of a table, or its own cascades, may change rows again.';
