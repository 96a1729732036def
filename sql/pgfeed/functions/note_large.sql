-- pgfeed.note_large(): remembers that a statement has a row too large for the ordinary path.
--
-- Returns: false, so that it can stand in the WHERE of the ordinary INSERT, which then skips the
--   row.
-- Called by: pgfeed.capture. Tables touched: none.
create or replace function pgfeed.note_large() returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $fn$
begin
  perform set_config('pgfeed.large', '1', true);
  return false;
end
$fn$;

comment on function pgfeed.note_large() is
  'Used by pgfeed.capture(): marks a statement that has a large row.';
