-- pgfeed.watch(rel, wake, level): puts a table on the feed, or brings its triggers up to date.
--
-- Run it as the role that installed the feed, which must own the table or be a member of the role
-- that does. A partitioned table or a parent is watched with all its parts.
-- Parameters: rel the table; wake: auto (NOTIFY only while no gateway is awake), always, never
--   (transactions that are prepared may not NOTIFY); level: auto, or row (no statement triggers).
--   What is left out, or null, stays as it was asked for before, and is auto at first: who mends
--   triggers need not know how the table was watched.
-- Returns: the level in force, row or statement.
-- Calls: pgfeed.check_watchable, pgfeed.triggers_of, pgfeed.level_of, pgfeed.share_table,
--   pgfeed.tell_gateways.
-- Tables touched: inserts into or updates pgfeed.watch_list; a gap mark into pgfeed.log if changes
--   went unseen.
-- A trigger that is as it should be is left alone: making one waits for the writers of the table.
create or replace function pgfeed.watch(rel regclass, wake text default null, level text default null)
returns text
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $fn$
#variable_conflict use_column
declare
  v_name  text := (select n.nspname || '.' || c.relname
                     from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = watch.rel);
  v_id    integer;
  v_level text;
  v_gap   boolean;
  v_t     record;
begin
  if watch.wake not in ('auto', 'always', 'never') then
    raise exception 'wake is auto, always or never, not %', watch.wake using errcode = 'invalid_parameter_value';
  elsif watch.level not in ('auto', 'row') then
    raise exception 'level is auto or row, not %', watch.level using errcode = 'invalid_parameter_value';
  end if;
  perform pg_advisory_xact_lock(1128678482, 0);
  delete from pgfeed.watch_list w where not exists (select from pg_class c where c.oid = w.rel);
  perform pgfeed.check_watchable(watch.rel);

  update pgfeed.watch_list w
     set wake = coalesce(watch.wake, w.wake), level = coalesce(watch.level, w.level), name = v_name
   where w.rel = watch.rel returning w.id, w.level into v_id, v_level;
  v_gap := found;
  if not found then
    insert into pgfeed.watch_list as w (rel, wake, level, name)
      values (watch.rel, coalesce(watch.wake, 'auto'), coalesce(watch.level, 'auto'), v_name)
      returning w.id, w.level into v_id, v_level;
  end if;

  for v_t in
    select g.tgname from pg_trigger g
     where g.tgrelid = watch.rel and g.tgfoid = to_regprocedure('public.notify_table_change()')
       and g.tgparentid = 0 and not g.tgisinternal
  loop
    raise notice 'trigger % on % gives way: its changes would be told twice', v_t.tgname, watch.rel;
    execute format('drop trigger %I on %s', v_t.tgname, watch.rel);
  end loop;

  v_gap := v_gap and exists (select from pgfeed.triggers_of(v_id) t where t.state in ('missing', 'off'));
  for v_t in select t.mend from pgfeed.triggers_of(v_id) t where t.state <> 'ok' loop
    execute v_t.mend;
  end loop;
  -- Enabling a trigger of a partitioned table does not reach its partitions in every version.
  for v_t in select t.mend from pgfeed.triggers_of(v_id) t where t.state <> 'ok' loop
    execute v_t.mend;
  end loop;
  perform pgfeed.share_table(v_id);
  -- Triggers of a watched table were off or gone: changes may have passed unseen, clients must
  -- start over.
  if v_gap then
    insert into pgfeed.log (watch, rel, op) values (v_id, watch.rel, 'G');
  end if;
  perform pgfeed.tell_gateways();
  return pgfeed.level_of(watch.rel, v_level);
end
$fn$;

comment on function pgfeed.watch(regclass, text, text) is
  'Puts a table on the feed, or brings its triggers up to date; wake and level stay as they were '
  'where they are not given. Run it as the owner of the table.';
