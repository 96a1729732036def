-- pgfeed.level_of(p_rel, p_level): whether INSERT and DELETE of a table are captured by row or by
-- statement.
--
-- Statement triggers make bulk statements a third cheaper. They do not see rows that come and go
-- through other tables (partitions, children, logical replication), and they fire after the row
-- triggers of others, which may have changed the rows again; nor can they name the fields of rows
-- that need care.
-- Parameters: p_rel the table; p_level auto or row.
-- Returns: row or statement. Calls: pgfeed.mode_of. Tables touched: catalog only.
create or replace function pgfeed.level_of(p_rel regclass, p_level text) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select case when p_level = 'auto' and c.relkind = 'r' and not c.relispartition
                   and pgfeed.mode_of(p_rel) = 'plain' and not pgfeed.has_other_triggers(p_rel)
                   and not exists (select from pg_inherits i where c.oid in (i.inhparent, i.inhrelid))
                   and not exists (select from pg_subscription_rel s where s.srrelid = c.oid)
              then 'statement' else 'row' end
    from pg_class c
   where c.oid = p_rel
$fn$;

comment on function pgfeed.level_of(regclass, text) is
  'How INSERT and DELETE of a table are captured: row or statement.';
