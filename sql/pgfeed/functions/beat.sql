-- pgfeed.beat(): writes a beat, with which a gateway proves that it reads what is committed.
--
-- Returns: the id of the beat. Tables touched: inserts into pgfeed.log.
create or replace function pgfeed.beat() returns bigint
language sql volatile security definer
set search_path = pg_catalog, pg_temp
as $fn$
  insert into pgfeed.log (op) values ('B') returning id
$fn$;

comment on function pgfeed.beat() is 'Writes a beat into the log, for gateways.';
