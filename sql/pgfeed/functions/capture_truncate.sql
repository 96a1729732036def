-- pgfeed.capture_truncate(p_watch, p_rel): logs a TRUNCATE.
--
-- Parameters: p_watch pgfeed.watch_list.id or null; p_rel the table that lost its rows.
-- T says that the watched table is empty. A partition, a child, or a parent whose children may have
-- been spared (TRUNCATE ONLY) leaves rows standing: a gap mark then, so that clients start over.
-- TRUNCATE of a partitioned table fires for every partition after it: these are told already, as
-- long as nothing of the table has been logged in between.
-- Tables touched: inserts into pgfeed.log; reads pgfeed.log, pgfeed.watch_list.
create or replace function pgfeed.capture_truncate(p_watch integer, p_rel oid) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $fn$
declare
  -- None is seen by a transaction whose snapshot is older than the watch.
  v_root  oid := (select w.rel from pgfeed.watch_list w where w.id = p_watch);
  v_whole boolean;
begin
  if p_watch is null then v_root := p_rel; end if;
  if v_root <> p_rel and exists (
       select from pgfeed.log l
        where l.xid = pg_current_xact_id() and l.rel = v_root and l.op = 'T'
          and l.id = (select max(m.id) from pgfeed.log m
                       where m.xid = pg_current_xact_id() and m.watch = p_watch)) then
    return;
  end if;
  select v_root = p_rel
         and (c.relkind = 'p' or not exists (select from pg_inherits i where i.inhparent = c.oid))
    into v_whole from pg_class c where c.oid = p_rel;
  insert into pgfeed.log (watch, rel, op)
    values (p_watch, p_rel, case when v_whole then 'T' else 'G' end::"char");
end
$fn$;

comment on function pgfeed.capture_truncate(integer, oid) is
  'Used by the trigger functions: logs a TRUNCATE, or a gap where only a part of the table was '
  'emptied.';
