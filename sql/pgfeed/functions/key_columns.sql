-- pgfeed.key_columns(p_watch, p_rel): primary key columns, in the order of the key.
--
-- Parameters: p_watch pgfeed.watch_list.id or null; p_rel the table of the row. The key of the
--   watched
--   table counts: a child made by INHERITS has none of its own.
-- Returns: names, null for a table without primary key.
-- Tables touched: reads pgfeed.watch_list.
create or replace function pgfeed.key_columns(p_watch integer, p_rel oid) returns name[]
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select array_agg(a.attname order by k.place)
    from pg_index i
   cross join lateral unnest(i.indkey::smallint[]) with ordinality k (attnum, place)
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
   where i.indrelid = coalesce((select w.rel from pgfeed.watch_list w where w.id = p_watch), p_rel)
     and i.indisprimary
     and k.place <= i.indnkeyatts
$fn$;

comment on function pgfeed.key_columns(integer, oid) is
  'Primary key columns of the watched table of a row.';
