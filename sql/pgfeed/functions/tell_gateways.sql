-- pgfeed.tell_gateways(): makes gateways look at once at which tables are on the feed.
--
-- Without it, or where the queue of notifications is half full, they look every few seconds.
-- Called by: pgfeed.watch, pgfeed.unwatch. Tables touched: none; NOTIFY db_changes at commit.
create or replace function pgfeed.tell_gateways() returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $fn$
begin
  if pg_notification_queue_usage() < 0.5 then
    perform pg_notify('db_changes', '{"log":true,"catalog":true}');
  end if;
end
$fn$;

comment on function pgfeed.tell_gateways() is 'Makes gateways look at once at which tables are on the feed.';
