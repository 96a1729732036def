-- pgfeed.rows_moved(p_rel, p_members): whether rows came or went with partitions or children.
--
-- One that is gone took its rows along, without a DELETE. One that was attached brought its rows,
-- without an INSERT, unless it has none. One that was made in its place had none.
-- Parameters: p_rel the table; p_members what pgfeed.members_of() was, null where that is not known.
-- Returns: the answer, which is yes where it cannot be told: of a foreign table, and of one that is
--   locked, for which a gateway should not wait.
-- Calls: pgfeed.members_of. Called by: pgfeed.note_shapes. Tables touched: catalog only.
create or replace function pgfeed.rows_moved(p_rel oid, p_members bigint[]) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  with recursive tree as (
    select p_rel as rel, false as attached
    union all
    -- What is made in a partitioned table comes with it when that is attached.
    select i.inhrelid,
           t.attached or i.xmin <> y.xmin
                         and (i.inhrelid::bigint << 32 | i.xmin::text::bigint) <> all (p_members)
      from tree t
      join pg_inherits i on i.inhparent = t.rel
      join pg_type y on y.typrelid = i.inhrelid
  )
  select p_members is not null
         and (exists (select from unnest(p_members) m where m <> all (pgfeed.members_of(p_rel)))
              or exists (
                select from tree t join pg_class c on c.oid = t.rel
                 where t.attached and c.relkind <> 'p'
                   and case when c.relkind = 'f' then true
                            when exists (select from pg_locks l
                                          where l.relation = c.oid and l.mode = 'AccessExclusiveLock')
                            then true
                            else pg_relation_size(c.oid) > 0 end))
$fn$;

comment on function pgfeed.rows_moved(oid, bigint[]) is
  'Used by pgfeed.note_shapes(): whether partitions or children came or went with rows.';
