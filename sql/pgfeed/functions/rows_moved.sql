-- pgfeed.rows_moved(p_rel, p_members): whether rows came or went with partitions or children.
--
-- One that is gone took its rows along, without a DELETE. One that was attached brought its rows,
-- without an INSERT, unless it has none. One that was made in its place had none: its columns are
-- there from the start, where to attach a table writes the entries of all columns that it shares
-- with its parent anew, by the command that makes it a part. So a column that the same transaction
-- made by an earlier command tells that the table was made in its place, also where all is done in
-- one transaction. An entry that somebody began to change tells nothing (its cmin is lost).
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
           t.attached
           or (i.inhrelid::bigint << 32 | i.xmin::text::bigint) <> all (p_members)
              and not exists (
                select from pg_attribute a
                  join pg_attribute u on u.attrelid = i.inhparent and u.attname = a.attname
                 where a.attrelid = i.inhrelid and a.attnum > 0
                   and a.xmin = i.xmin and a.cmin::text::bigint < i.cmin::text::bigint
                   and a.xmax = '0' and i.xmax = '0')
      from tree t
      join pg_inherits i on i.inhparent = t.rel
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
