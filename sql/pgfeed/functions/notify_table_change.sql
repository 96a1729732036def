-- public.notify_table_change(): trigger function for triggers written by hand.
--
--   create trigger profiles_notify after insert or update or delete on profiles
--     for each row execute function notify_table_change();
--
-- Arguments of the trigger: none needed; [0] wake, as in pgfeed.watch(): auto, always, never.
-- Returns: the row, so that a BEFORE trigger does not drop it.
-- Calls: pgfeed.capture_careful, pgfeed.note_depth, pgfeed.note_inner, pgfeed.wake. Tables touched: inserts into pgfeed.log.
--
-- A statement trigger does not see the rows of INSERT, UPDATE or DELETE: it leaves a gap mark.
-- Settings and ordinary path are those of pgfeed.capture(), where they are explained.
create or replace function public.notify_table_change() returns trigger
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
set timezone = 'UTC' set datestyle = 'ISO, MDY' set intervalstyle = 'postgres'
set bytea_output = 'hex' set extra_float_digits = 1
as $fn$
#variable_conflict use_variable
declare
  v_again boolean := length(coalesce(current_setting('pgfeed.depth', true), '')) > pg_trigger_depth();
begin
  if TG_LEVEL <> 'ROW' then
    insert into pgfeed.log (rel, op)
      values (TG_RELID, case TG_OP when 'TRUNCATE' then 'T' else 'G' end::"char");
  elsif v_again or (coalesce(pg_column_size(NEW), 0) | coalesce(pg_column_size(OLD), 0)) >> 17 <> 0
     or exists (select from pg_attribute a where a.attrelid = TG_RELID and a.attgenerated = 'v') then
    -- A condition that never holds, as in pgfeed.capture().
    if pgfeed.capture_careful(null, TG_RELID, TG_OP, NEW, OLD, v_again) is null then return null; end if;
  elsif TG_OP = 'UPDATE' then
    insert into pgfeed.log (rel, op, new, old) values (TG_RELID, 'U', row_to_json(NEW), row_to_json(OLD));
  elsif TG_OP = 'INSERT' then
    insert into pgfeed.log (rel, op, new) values (TG_RELID, 'I', row_to_json(NEW));
  else
    insert into pgfeed.log (rel, op, old) values (TG_RELID, 'D', row_to_json(OLD));
  end if;

  if pg_trigger_depth() > 1 then perform pgfeed.note_depth(), pgfeed.note_inner(null, TG_RELID); end if;
  if TG_ARGV[0] = 'never' then
    null;
  elsif TG_ARGV[0] = 'always' then
    perform pgfeed.wake(null, TG_RELID, TG_OP);
  -- As in pgfeed.capture().
  elsif pg_try_advisory_lock_shared(1128678482, 1) and pg_advisory_unlock_shared(1128678482, 1) then
    perform pgfeed.wake(null, TG_RELID, TG_OP);
  end if;
  return case TG_OP when 'DELETE' then OLD else NEW end;
end
$fn$;

comment on function public.notify_table_change() is
  'Trigger function for triggers written by hand: puts the change on the feed (pgfeed).';
