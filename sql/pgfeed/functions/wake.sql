-- pgfeed.wake(p_watch, p_rel, p_op): NOTIFY that the log has grown.
--
-- Parameters: p_watch pgfeed.watch_list.id or null; p_rel the table written to; p_op what was done.
-- The payload names table and operation and never carries a row: any role may LISTEN.
-- At most one per table and operation in a row: the setting pgfeed.rung remembers the last one, and
-- PostgreSQL drops equal payloads of one transaction. Both are undone with a savepoint.
-- A full queue fails a commit, where no EXCEPTION block helps: a listener that is stuck must not
-- stop a writer.
-- Tables touched: reads pgfeed.watch_list.
create or replace function pgfeed.wake(p_watch integer, p_rel oid, p_op text) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $fn$
declare
  v_rung text := coalesce(p_watch::text, p_rel::text || 'r') || p_op;
begin
  if current_setting('pgfeed.rung', true) = v_rung or pg_notification_queue_usage() >= 0.5 then return; end if;
  perform pg_notify('db_changes', json_build_object('table', c.relname, 'schema', n.nspname,
                                                    'operation', p_op, 'log', true)::text)
     from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.oid = coalesce((select w.rel from pgfeed.watch_list w where w.id = p_watch), p_rel);
  perform set_config('pgfeed.rung', v_rung, true);
end
$fn$;

comment on function pgfeed.wake(integer, oid, text) is
  'Used by the trigger functions: NOTIFY on channel db_changes that the log has grown.';
