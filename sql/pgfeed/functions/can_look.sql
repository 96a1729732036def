-- pgfeed.can_look(p_watch, p_rel): whether the trigger functions can look up a row as it stands
-- now.
--
-- Parameters: p_watch, p_rel as for pgfeed.key_columns.
-- Returns: false without primary key, without the privileges that watch() gives, or under row
--   security.
-- Calls: pgfeed.key_columns. Tables touched: reads pgfeed.watch_list.
create or replace function pgfeed.can_look(p_watch integer, p_rel oid) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select pgfeed.key_columns(p_watch, p_rel) is not null
         and has_schema_privilege(c.relnamespace, 'usage') and has_table_privilege(c.oid, 'select')
         and not row_security_active(c.oid)
    from pg_class c
   where c.oid = coalesce((select w.rel from pgfeed.watch_list w where w.id = p_watch), p_rel)
$fn$;

comment on function pgfeed.can_look(integer, oid) is
  'Used by pgfeed.capture_careful(): whether a row can be looked up as it stands now.';
