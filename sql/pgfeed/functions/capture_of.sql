-- pgfeed.capture_of(p_rel): one number for how the writes of a table are captured.
--
-- Another number means that writes may have passed unseen: a trigger was switched off and on again,
-- which makes a new version of its row in the catalog. That of a partition or child counts once it is
-- not as it was made: its dependencies are of the transaction that made it, and stay; in one and the
-- same transaction it must be on as that of its parent is. So one that is made or attached does not
-- change the number. Nor does a generated column of a part, until its expression is set by itself.
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
    (select string_agg(concat_ws(' ', g.oid, g.xmin, g.tgenabled), ',' order by g.oid)
       from tree t
       join pg_trigger g on g.tgrelid = t.rel and t.rel <> p_rel
       left join pg_trigger p on p.oid = g.tgparentid
      where g.tgfoid in (to_regprocedure('pgfeed.capture()'), to_regprocedure('pgfeed.capture_update()'),
                        to_regprocedure('public.notify_table_change()'))
        and (g.tgenabled in ('D', 'R') or g.tgenabled <> p.tgenabled
             or not exists (select from pg_depend d
                             where d.classid = 'pg_trigger'::regclass and d.objid = g.oid and d.xmin = g.xmin))),
    ';',
    (select string_agg(d.oid::text, ',' order by d.oid)
       from tree t
       join pg_attribute a on a.attrelid = t.rel and t.rel <> p_rel and a.attgenerated <> '' and not a.attisdropped
       join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
       join pg_attribute s on s.attrelid = a.attrelid and s.attname = 'tableoid'
      where d.xmin <> s.xmin)), 0)
$fn$;

comment on function pgfeed.capture_of(oid) is
  'Used by pgfeed.note_shapes(): a number for how the writes of a table are captured.';
