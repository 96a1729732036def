-- pgfeed.note_depth(): remembers for the transaction how deep in triggers a change was logged.
--
-- A trigger that fires later, further out, then knows that its row may have been changed again.
-- Returns: nothing. Called by: the trigger functions, inside other triggers. Tables touched: none.
create or replace function pgfeed.note_depth() returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $fn$
begin
  if length(coalesce(current_setting('pgfeed.depth', true), '')) < pg_trigger_depth() then
    perform set_config('pgfeed.depth', repeat('*', pg_trigger_depth()), true);
  end if;
end
$fn$;

comment on function pgfeed.note_depth() is
  'Used by the trigger functions: how deep in triggers this transaction has logged changes.';
