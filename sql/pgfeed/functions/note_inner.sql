-- pgfeed.note_inner(p_watch, p_rel): remembers for the client's statement that a trigger has changed
-- a table.
--
-- A change of the table that is logged later, further out, then may be of a row that has been changed
-- again. Statements are told apart by when they began.
-- Parameters: p_watch pgfeed.watch_list.id or null; p_rel the table.
-- Returns: nothing. Called by: the trigger functions, inside other triggers. Tables touched: none.
create or replace function pgfeed.note_inner(p_watch integer, p_rel oid) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $fn$
declare
  v_began text := extract(epoch from statement_timestamp()) || ' ';
  v_inner text := coalesce(current_setting('pgfeed.inner', true), '');
  v_name  text := format(' %s ', coalesce(p_watch::text, 'r' || p_rel));
begin
  if not starts_with(v_inner, v_began) then v_inner := v_began; end if;
  if position(v_name in v_inner) = 0 then
    perform set_config('pgfeed.inner', v_inner || v_name, true);
  end if;
end
$fn$;

comment on function pgfeed.note_inner(integer, oid) is
  'Used by the trigger functions: remembers that a trigger of this statement has changed a table.';
