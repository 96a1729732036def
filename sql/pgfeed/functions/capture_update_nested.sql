-- pgfeed.capture_update_nested(...): logs an UPDATE that is not ordinary: one that a trigger made or
-- that comes after such a one, of a large row, or of a table whose rows need care.
--
-- Parameters: p_watch pgfeed.watch_list.id; p_rel the table; p_mode plain or careful; p_new, p_old
--   the row after and before.
-- Returns: nothing. Called by: pgfeed.capture_update, pgfeed.capture, under their settings.
-- Calls: pgfeed.capture_careful, pgfeed.note_depth, pgfeed.note_inner. Tables touched: inserts into pgfeed.log.
--
-- Comparing copies the rows, which fails over 1 GB: hence the EXCEPTION block. It only reads, for a
-- subtransaction that writes nothing costs no transaction number.
create or replace function pgfeed.capture_update_nested(
  p_watch integer, p_rel oid, p_mode text, p_new record, p_old record
) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $fn$
declare
  -- A trigger of this transaction has logged changes before us and may have changed this row again.
  v_again boolean := length(coalesce(current_setting('pgfeed.depth', true), '')) > pg_trigger_depth();
  -- As in pgfeed.capture_update().
  v_large boolean := (pg_column_size(p_new) | pg_column_size(p_old)) >> 17 <> 0;
begin
  if v_large then
    begin
      if p_old *= p_new then return; end if;
    exception when others then
      v_large := true;
    end;
  end if;
  if v_again or p_mode <> 'plain' or v_large then
    -- As in pgfeed.capture_update().
    if pgfeed.capture_careful(p_watch, p_rel, 'UPDATE', p_new, p_old, v_again) is null then return; end if;
  else
    insert into pgfeed.log (watch, rel, op, new, old)
      values (p_watch, p_rel, 'U', row_to_json(p_new), row_to_json(p_old));
  end if;
  if pg_trigger_depth() > 1 then perform pgfeed.note_depth(), pgfeed.note_inner(p_watch, p_rel); end if;
end
$fn$;

comment on function pgfeed.capture_update_nested(integer, oid, text, record, record) is
  'Used by the trigger functions: logs an UPDATE that is not ordinary.';
