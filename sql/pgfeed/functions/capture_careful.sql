-- pgfeed.capture_careful(...): logs one change that the ordinary path cannot: a large row, a row
-- whose JSON may fail, or one that other triggers of the transaction may have changed again.
--
-- Parameters: p_watch pgfeed.watch_list.id or null; p_rel the table; p_op INSERT, UPDATE or DELETE;
--   p_new, p_old the row after and before; p_again true: log the row as it stands now.
-- Returns: nothing. Never fails: what cannot be told in full is told by its key, what cannot be
--   told
--   even so leaves a gap mark, so that clients are told to start over.
-- Calls: pgfeed.row_json, pgfeed.key_of, pgfeed.current_row, pgfeed.can_look,
--   pgfeed.is_inner, pgfeed.has_other_triggers.
-- Tables touched: inserts into pgfeed.log.
--
-- The EXCEPTION blocks only read: a subtransaction that writes nothing costs no transaction number.
create or replace function pgfeed.capture_careful(
  p_watch integer, p_rel oid, p_op text, p_new record, p_old record, p_again boolean
) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $fn$
declare
  v_new   json;
  v_old   json;
  v_now   json;
  v_back  json;
  v_key   json;
  v_was   json;
  v_whole boolean := false;
begin
  begin
    if p_op <> 'DELETE' then v_new := pgfeed.row_json(p_rel, p_new); end if;
    if p_op <> 'INSERT' then v_old := pgfeed.row_json(p_rel, p_old); end if;
    v_whole := (p_op = 'DELETE' or v_new is not null) and (p_op = 'INSERT' or v_old is not null);
    if v_whole and p_again then
      v_now := pgfeed.current_row(p_watch, p_rel, coalesce(v_new, v_old), v_new);
      if p_op = 'UPDATE' then v_back := pgfeed.current_row(p_watch, p_rel, v_old, null); end if;
    else
      v_now := v_new;
    end if;
  exception when others then
    v_whole := false;
  end;

  if v_whole then
    if v_now is null and v_old is not null then
      insert into pgfeed.log (watch, rel, op, old) values (p_watch, p_rel, 'D', v_old);
    elsif v_now is not null then
      insert into pgfeed.log (watch, rel, op, new, old)
        values (p_watch, p_rel, case when v_old is null then 'I' else 'U' end::"char", v_now, v_old);
    end if;
    -- The key was changed, and by now another row has the old one: the update told it gone.
    if v_back is not null and v_back::text is distinct from v_now::text then
      insert into pgfeed.log (watch, rel, op, new) values (p_watch, p_rel, 'I', v_back);
    end if;
    -- What triggers did to the row cannot be seen: they were made since the watch, or belong to
    -- other tables of the statement, or come before the write, or the table has row security.
    -- Of a row that is gone only the table's own triggers bring the key back.
    if p_again and not pgfeed.can_look(p_watch, p_rel) and pgfeed.is_inner(p_watch, p_rel)
       and (p_op <> 'DELETE' or pgfeed.has_other_triggers(p_rel)) then
      insert into pgfeed.log (watch, rel, op) values (p_watch, p_rel, 'G');
    end if;
    return;
  end if;

  begin
    if p_op = 'DELETE' then
      v_key := pgfeed.key_of(p_watch, p_rel, p_old);
    else
      v_key := pgfeed.key_of(p_watch, p_rel, p_new);
      if p_op = 'UPDATE' then v_was := pgfeed.key_of(p_watch, p_rel, p_old); end if;
    end if;
  exception when others then
    insert into pgfeed.log (watch, rel, op) values (p_watch, p_rel, 'G');
    return;
  end;
  insert into pgfeed.log (watch, rel, op, key, old)
    values (p_watch, p_rel, lower(left(p_op, 1))::"char", v_key,
            case when v_was::text <> v_key::text then v_was end);
end
$fn$;

comment on function pgfeed.capture_careful(integer, oid, text, record, record, boolean) is
  'Used by the trigger functions: logs a change that the ordinary path cannot, and never fails.';
