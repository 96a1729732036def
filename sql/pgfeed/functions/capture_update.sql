-- pgfeed.capture_update(): trigger function of the row trigger for UPDATE that pgfeed.watch() makes.
--
-- Arguments of the trigger: as of pgfeed.capture().
-- Returns: null (an AFTER trigger).
-- Calls: pgfeed.capture_update_nested, pgfeed.wake. Tables touched: inserts into pgfeed.log.
--
-- The write that is made most, so what it pays was counted (docs/adding-a-table.md). Each variable
-- and each expression of plpgsql is set up anew in every transaction, with a look at the right to
-- call every function in it, and a WHEN on the trigger costs more than the same test in here. Hence
-- one test for all that makes a change ordinary, one INSERT, one test of the lock.
-- The settings make the text of a row the same whoever writes it. Testing whether the session has
-- them already costs what setting them does.
create or replace function pgfeed.capture_update() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC' set datestyle = 'ISO, MDY' set intervalstyle = 'postgres'
set bytea_output = 'hex' set extra_float_digits = 1
as $fn$
#variable_conflict use_variable
begin
  -- A shift, for the size of a row over 2 GB comes as a negative number, and two sizes may be too
  -- large for a sum.
  if TG_ARGV[2] = 'plain' and (pg_column_size(NEW) | pg_column_size(OLD)) >> 17 = 0
     and pg_trigger_depth() = 1 and coalesce(current_setting('pgfeed.depth', true), '') = ''
     and OLD *<> NEW
  then
    insert into pgfeed.log (watch, rel, op, new, old)
      values (TG_ARGV[0]::integer, TG_RELID, 'U', row_to_json(NEW), row_to_json(OLD));
  elsif (pg_column_size(NEW) | pg_column_size(OLD)) >> 17 = 0 and OLD *= NEW then
    -- Updates that change nothing are not logged; *= compares rows of any type, byte by byte.
    return null;
  -- A condition that never holds: PERFORM copies what it hands over, which fails over 1 GB.
  elsif pgfeed.capture_update_nested(TG_ARGV[0]::integer, TG_RELID, TG_ARGV[2], NEW, OLD) is null then
    return null;
  end if;

  -- As in pgfeed.capture().
  if (case TG_ARGV[1] when 'auto' then not (pg_try_advisory_lock_shared(1128678482, 1)
                                            and pg_advisory_unlock_shared(1128678482, 1))
                      else TG_ARGV[1] = 'never' end) then
    return null;
  end if;
  perform pgfeed.wake(TG_ARGV[0]::integer, TG_RELID, TG_OP);
  return null;
end
$fn$;

comment on function pgfeed.capture_update() is
  'Trigger function of pgfeed.watch(): writes an UPDATE to pgfeed.log and wakes a sleeping gateway.';
