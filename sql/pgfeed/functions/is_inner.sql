-- pgfeed.is_inner(p_watch, p_rel): whether a trigger has changed a table within the client's
-- statement.
--
-- Parameters: as for pgfeed.note_inner, which remembers it.
-- Called by: pgfeed.capture_careful. Tables touched: none.
create or replace function pgfeed.is_inner(p_watch integer, p_rel oid) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select coalesce(starts_with(s.inner_, extract(epoch from statement_timestamp()) || ' ')
                  and position(format(' %s ', coalesce(p_watch::text, 'r' || p_rel)) in s.inner_) > 0, false)
    from (select current_setting('pgfeed.inner', true)) s (inner_)
$fn$;

comment on function pgfeed.is_inner(integer, oid) is
  'Used by pgfeed.capture_careful(): whether a trigger of this statement has changed a table.';
