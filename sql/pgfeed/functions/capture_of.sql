-- pgfeed.capture_of(p_rel): one number for how the writes of a table are captured.
--
-- Another number means that writes may have passed unseen: a trigger was switched off and on again,
-- which makes a new version of its row in the catalog.
-- Parameters: p_rel the table. Returns: the number. Tables touched: catalog only.
create or replace function pgfeed.capture_of(p_rel oid) returns bigint
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  with recursive tree as (
    select p_rel as rel
    union all
    select i.inhrelid from tree t join pg_inherits i on i.inhparent = t.rel
  )
  select hashtextextended(concat(
    (select string_agg(concat_ws(' ', g.oid, g.xmin, g.tgenabled), ',' order by g.oid)
       from pg_trigger g
      where g.tgrelid = p_rel
        and g.tgfoid in (to_regprocedure('pgfeed.capture()'), to_regprocedure('pgfeed.capture_update()'),
                        to_regprocedure('public.notify_table_change()'))),
    ';',
    (select string_agg(concat_ws(' ', g.oid, g.tgenabled), ',' order by g.oid)
       from tree t
       join pg_trigger g on g.tgrelid = t.rel and t.rel <> p_rel and g.tgenabled in ('D', 'R')
      where g.tgfoid in (to_regprocedure('pgfeed.capture()'), to_regprocedure('pgfeed.capture_update()'),
                        to_regprocedure('public.notify_table_change()'))),
    ';'), 0)
$fn$;

comment on function pgfeed.capture_of(oid) is
  'Used by pgfeed.note_shapes(): a number for how the writes of a table are captured.';
