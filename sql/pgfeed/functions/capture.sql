-- pgfeed.capture(): trigger function of the triggers that pgfeed.watch() makes, but for UPDATE.
--
-- Arguments of the trigger: [0] pgfeed.watch_list.id, [1] wake, [2] 'plain', or 'careful' for a
-- table
--   whose rows need more than row_to_json (virtual columns, casts to json that users define).
-- Returns: null (an AFTER trigger).
-- Calls: pgfeed.capture_careful, pgfeed.capture_truncate, pgfeed.capture_update_nested,
--   pgfeed.note_depth, pgfeed.note_inner, pgfeed.note_large, pgfeed.rows_of, pgfeed.wake.
-- Tables touched: inserts into pgfeed.log.
--
-- The ordinary path has no EXCEPTION block and no call but the INSERT: every writer pays for it.
-- Columns of a watched table may have any name: rows are taken as alias.* only, alone in their
-- scope.
-- The settings make the text of a row the same whoever writes it; they are PostgreSQL's defaults.
create or replace function pgfeed.capture() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC' set datestyle = 'ISO, MDY' set intervalstyle = 'postgres'
set bytea_output = 'hex' set extra_float_digits = 1
as $fn$
#variable_conflict use_variable
declare
  -- A trigger of this transaction has logged changes before us and may have changed this row again.
  v_again boolean := length(coalesce(current_setting('pgfeed.depth', true), '')) > pg_trigger_depth();
  v_found boolean;
  v_rows  refcursor;
  v_row   record;
begin
  if TG_LEVEL = 'ROW' then
    if TG_OP = 'INSERT' and TG_ARGV[2] = 'plain' and not v_again and pg_column_size(NEW) >> 18 = 0 then
      insert into pgfeed.log (watch, rel, op, new)
        values (TG_ARGV[0]::integer, TG_RELID, 'I', row_to_json(NEW));
    elsif TG_OP = 'DELETE' and TG_ARGV[2] = 'plain' and not v_again and pg_column_size(OLD) >> 18 = 0 then
      insert into pgfeed.log (watch, rel, op, old)
        values (TG_ARGV[0]::integer, TG_RELID, 'D', row_to_json(OLD));
    elsif TG_OP = 'UPDATE' then
      -- Triggers of a former version; today's call pgfeed.capture_update().
      perform pgfeed.capture_update_nested(TG_ARGV[0]::integer, TG_RELID, TG_ARGV[2], NEW, OLD);
    -- A condition that never holds: PERFORM copies what it hands over, which fails over 1 GB.
    elsif pgfeed.capture_careful(TG_ARGV[0]::integer, TG_RELID, TG_OP, NEW, OLD, v_again) is null then
      return null;
    end if;
  elsif TG_OP = 'TRUNCATE' then
    perform pgfeed.capture_truncate(TG_ARGV[0]::integer, TG_RELID);
  else
    if TG_OP = 'INSERT' and TG_ARGV[2] = 'plain' and not v_again then
      insert into pgfeed.log (watch, rel, op, new)
        select TG_ARGV[0]::integer, TG_RELID, 'I', row_to_json(n.*) from new_rows n
         where pg_column_size(n.*) <= 262144 or pgfeed.note_large();
    elsif TG_OP = 'DELETE' and TG_ARGV[2] = 'plain' and not v_again then
      insert into pgfeed.log (watch, rel, op, old)
        select TG_ARGV[0]::integer, TG_RELID, 'D', row_to_json(o.*) from old_rows o
         where pg_column_size(o.*) <= 262144 or pgfeed.note_large();
    end if;
    if not found or current_setting('pgfeed.large', true) = '1' then
      v_found := found;
      if v_again or TG_ARGV[2] <> 'plain' or current_setting('pgfeed.large', true) = '1' then
        -- The query names the table: who may not use its schema is refused. The blocks only read,
        -- for a subtransaction that writes nothing costs no transaction number.
        begin
          open v_rows for execute pgfeed.rows_of(TG_OP, TG_RELID, v_again or TG_ARGV[2] <> 'plain');
        exception when others then
          v_rows := null;
        end;
        loop
          begin
            fetch v_rows into v_row;
            exit when not found;
          exception when others then
            insert into pgfeed.log (watch, rel, op) values (TG_ARGV[0]::integer, TG_RELID, 'G');
            v_found := true;
            exit;
          end;
          v_found := true;
          if TG_OP = 'INSERT' then
            perform pgfeed.capture_careful(TG_ARGV[0]::integer, TG_RELID, TG_OP, v_row.r, null, v_again);
          else
            perform pgfeed.capture_careful(TG_ARGV[0]::integer, TG_RELID, TG_OP, null, v_row.r, v_again);
          end if;
        end loop;
        if v_rows is not null then close v_rows; end if;
        perform set_config('pgfeed.large', '', true);
      end if;
      if not v_found then return null; end if;
    end if;
  end if;

  if pg_trigger_depth() > 1 then
    perform pgfeed.note_depth(), pgfeed.note_inner(TG_ARGV[0]::integer, TG_RELID);
  end if;
  -- While a gateway is awake it holds this lock, and a commit that does not NOTIFY waits for
  -- nobody. Taken and given back by one expression, which nothing interrupts: the lock outlives a
  -- statement that is cancelled, and a session that kept it would keep every gateway from being awake.
  if (case TG_ARGV[1] when 'auto' then not (pg_try_advisory_lock_shared(1128678482, 1)
                                            and pg_advisory_unlock_shared(1128678482, 1))
                      else TG_ARGV[1] = 'never' end) then
    return null;
  end if;
  perform pgfeed.wake(TG_ARGV[0]::integer, TG_RELID, TG_OP);
  return null;
end
$fn$;

comment on function pgfeed.capture() is
  'Trigger function of pgfeed.watch(): writes the change to pgfeed.log and wakes a sleeping '
  'gateway.';
