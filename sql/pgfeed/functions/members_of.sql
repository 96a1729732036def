-- pgfeed.members_of(p_rel): the partitions and children of a table, however deep.
--
-- Parameters: p_rel the table. Returns: for each the oid and, in the lower half, the transaction that
--   made it one: it is another one after it was taken out and put back. Tables touched: catalog only.
create or replace function pgfeed.members_of(p_rel oid) returns bigint[]
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  with recursive tree as (
    select i.inhrelid as rel, i.xmin as since from pg_inherits i where i.inhparent = p_rel
    union all
    select i.inhrelid, i.xmin from tree t join pg_inherits i on i.inhparent = t.rel
  )
  select coalesce(array_agg(distinct m order by m), '{}')
    from tree t cross join lateral (select t.rel::bigint << 32 | t.since::text::bigint) x (m)
$fn$;

comment on function pgfeed.members_of(oid) is
  'Used by pgfeed.note_shapes(): the partitions and children of a table, and since when.';
