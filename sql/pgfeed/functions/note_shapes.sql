-- pgfeed.note_shapes(p_rels, p_shapes): remembers what the tables on the feed look like, for
-- gateways.
--
-- Whichever gateway first sees that a table has other columns makes a tick: cursors from before it
-- may have rows of the old shape behind them, on whatever gateway they come back. Where capture is
-- another one than before, writes may have passed unseen, and with a partition rows may have come or
-- gone: then a gap mark goes into the log.
-- Parameters: p_rels, p_shapes: the tables on the feed and a number for the shape of each.
-- Returns: for each of them the tick from which on its shape holds.
-- Calls: pgfeed.capture_of, pgfeed.members_of, pgfeed.rows_moved.
-- Tables touched: reads and writes pgfeed.shape; inserts into pgfeed.tick and pgfeed.log.
create or replace function pgfeed.note_shapes(p_rels oid[], p_shapes bigint[])
returns table (rel oid, since bigint)
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $fn$
#variable_conflict use_column
declare
  v_tick bigint;
  v_now  pgfeed.shape;
begin
  -- First without a lock, then again under that of the ticks: another gateway may have done it.
  for v_round in 1..2 loop
    exit when not exists (
      select from unnest(p_rels, p_shapes) n (rel, shape)
        left join pgfeed.shape s on s.rel = n.rel
       where s.rel is null or s.shape <> n.shape or s.capture <> pgfeed.capture_of(n.rel)
          or s.members is null
          -- Most tables have none, which is found out for less.
          or (s.members <> '{}' or exists (select from pg_inherits i where i.inhparent = n.rel))
             and s.members <> pgfeed.members_of(n.rel));
    if v_round = 1 then
      perform pg_advisory_xact_lock(1128678482, 2);
      continue;
    end if;
    if current_setting('synchronous_commit') in ('off', 'local') then
      perform set_config('synchronous_commit', 'on', true);
    end if;
    insert into pgfeed.tick (last)
      select coalesce(pg_sequence_last_value('pgfeed.log_id_seq'), 0) returning id into v_tick;
    for v_now in
      select n.rel, n.shape, pgfeed.capture_of(n.rel), v_tick, pgfeed.members_of(n.rel)
        from unnest(p_rels, p_shapes) n (rel, shape)
    loop
      insert into pgfeed.log (watch, rel, op)
        select (select w.id from pgfeed.watch_list w where w.rel = v_now.rel), v_now.rel, 'G'
          from pgfeed.shape s
         where s.rel = v_now.rel and s.shape = v_now.shape
           and (s.capture <> v_now.capture or pgfeed.rows_moved(s.rel, s.members));
      insert into pgfeed.shape as s (rel, shape, capture, since, members)
        values (v_now.rel, v_now.shape, v_now.capture, v_now.since, v_now.members)
        on conflict (rel) do update
          set since = case when s.shape <> excluded.shape then excluded.since else s.since end,
              shape = excluded.shape, capture = excluded.capture, members = excluded.members;
    end loop;
    delete from pgfeed.shape s where not exists (select from pg_class c where c.oid = s.rel);
  end loop;
  return query select s.rel, s.since from pgfeed.shape s where s.rel = any (p_rels);
end
$fn$;

comment on function pgfeed.note_shapes(oid[], bigint[]) is
  'Remembers the shape of the tables on the feed, and since which tick it holds.';
