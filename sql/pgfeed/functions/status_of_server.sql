-- pgfeed.status_of_server(): findings about the server that the feed depends on.
--
-- Returns: as pgfeed.status(), which calls it. Tables touched: catalog only.
create or replace function pgfeed.status_of_server()
returns table ("check" text, status text, detail text, mend text)
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select 'notify queue', case when q.used >= 0.5 then 'fail' when q.used > 0.1 then 'warn' else 'ok' end,
         format('%s %% full', round(q.used::numeric * 100, 2)),
         case when q.used > 0.1 then 'A session that listens is stuck in a transaction: find it in pg_stat_activity and end it.' end
    from pg_notification_queue_usage() q (used)
  union all
  select 'gateway', 'ok', case when count(*) > 0 then 'a gateway is awake: writers do not NOTIFY'
                               else 'no gateway is awake: writers NOTIFY' end, null
    from pg_locks l
   where l.locktype = 'advisory' and l.classid = 1128678482 and l.objid = 1 and l.objsubid = 2
     and l.mode = 'ExclusiveLock' and l.granted
     and l.database = (select d.oid from pg_database d where d.datname = current_database())
  union all
  select 'prepared transactions', 'warn', format('%s is pending since %s: its changes come when it is committed',
                                                 p.gid, p.prepared),
         format('commit prepared %1$L; or rollback prepared %1$L;', p.gid)
    from pg_prepared_xacts p
   where p.database = current_database() and p.prepared < clock_timestamp() - interval '1 minute'
  union all
  select 'encoding', 'fail', 'the database is SQL_ASCII: any byte may come in a row or a notification',
         'Make a database with encoding UTF8 and move the tables there.'
   where current_setting('server_encoding') = 'SQL_ASCII'
  union all
  select 'fsync', 'warn', format('%s is off: a crash can lose what clients have seen', s.name),
         format('alter system set %s = on;', s.name)
    from (values ('fsync'), ('full_page_writes')) s (name) where current_setting(s.name) = 'off'
$fn$;

comment on function pgfeed.status_of_server() is
  'Used by pgfeed.status(): findings about the server.';
