-- pgfeed.prune(keep, batch): deletes changes that are older than the log is kept.
--
-- What the newest tick older than keep has seen goes; then that tick is the oldest position served.
-- Parameters: keep: how long positions stay good; batch: how many changes at most in one call.
-- Returns: how many went; call again while it is a whole batch. 0 while another session prunes.
-- Tables touched: deletes from pgfeed.log and pgfeed.tick; updates pgfeed.meta.
create or replace function pgfeed.prune(keep interval default '24 hours', batch integer default 10000)
returns integer
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $fn$
declare
  v_tick pgfeed.tick;
  v_from xid8;
  v_last xid8;
  v_gone integer;
begin
  if not pg_try_advisory_xact_lock(1128678482, 3) then return 0; end if;
  select t.* into v_tick from pgfeed.tick t where t.at < clock_timestamp() - keep order by t.id desc limit 1;
  if not found then return 0; end if;
  delete from pgfeed.tick t where t.id < v_tick.id;
  select m.prune_from into v_from from pgfeed.meta m;
  with gone as (
    delete from pgfeed.log
     where ctid = any (array(
       select l.ctid from pgfeed.log l
        where l.xid >= v_from
          and l.xid < pg_snapshot_xmax(v_tick.snap)
          and pg_visible_in_snapshot(l.xid, v_tick.snap)
        order by l.xid limit batch))
    returning xid
  )
  select count(*), max(g.xid::text::numeric)::text::xid8 into v_gone, v_last from gone g;
  -- Never past a transaction that was under way at the tick: the next call may have a newer tick,
  -- which sees it.
  update pgfeed.meta m
     set prune_from = case when v_gone < batch then pg_snapshot_xmin(v_tick.snap)
                           else least(v_last, pg_snapshot_xmin(v_tick.snap)) end;
  return v_gone;
end
$fn$;

comment on function pgfeed.prune(interval, integer) is
  'Deletes a batch of changes older than the log is kept; returns how many.';
