-- pgfeed.make_tick(max_age): a durable position, for gateways.
--
-- The commit of this call flushes the WAL past every transaction that the snapshot has seen: their
-- numbers cannot be handed out again, neither after a crash nor after a failover that keeps the
-- tick. Ticks are totally ordered: each sees all that the one before saw.
-- Parameters: max_age: the newest tick is good enough up to this age, and while nothing has been
--   logged.
-- Returns: the tick. In a database that was restored or copied from elsewhere, positions and xids
--   of the
--   log mean nothing: it starts a new history and returns its first tick.
-- Calls: pgfeed.start_history. Tables touched: reads pgfeed.meta; reads and inserts into
--   pgfeed.tick.
create or replace function pgfeed.make_tick(max_age interval default '0')
returns table (id bigint, tag integer, snap pg_snapshot, at timestamptz)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $fn$
#variable_conflict use_column
declare
  v_moved boolean;
  v_last  bigint;
begin
  if pg_current_xact_id_if_assigned() is not null
     or current_setting('transaction_isolation') <> 'read committed' then
    raise exception 'pgfeed.make_tick() must run in a read committed transaction of its own'
      using errcode = 'invalid_transaction_state';
  end if;
  -- First without a lock, then again under it: meanwhile another gateway may have made the tick.
  for v_round in 1..2 loop
    v_last := coalesce(pg_sequence_last_value('pgfeed.log_id_seq'), 0);
    select not exists (select from pgfeed.meta m
                         join pg_control_system() c on c.system_identifier = m.sysid
                         join pg_database d on d.oid = m.dbid and d.datname = current_database())
      into v_moved;
    return query
      select t.id, t.tag, t.snap, t.at from pgfeed.tick t
       where not v_moved
         and t.id = (select max(k.id) from pgfeed.tick k)
         and (t.last = v_last or t.at > clock_timestamp() - max_age);
    if found then return; end if;
    if v_round = 1 then perform pg_advisory_xact_lock(1128678482, 2); end if;
  end loop;

  if current_setting('synchronous_commit') in ('off', 'local') then
    perform set_config('synchronous_commit', 'on', true);
  end if;
  if v_moved then perform pgfeed.start_history(); end if;
  return query
    insert into pgfeed.tick as t (last)
      select coalesce(pg_sequence_last_value('pgfeed.log_id_seq'), 0)
      returning t.id, t.tag, t.snap, t.at;
end
$fn$;

comment on function pgfeed.make_tick(interval) is
  'Makes a durable position in the feed, or returns the newest one.';
