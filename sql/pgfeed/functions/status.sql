-- pgfeed.status(): what is right and wrong with the feed of this database.
--
-- Returns: one row a finding: check, status (ok, warn, fail), detail, and a command or advice that
--   mends it.
--   Every check answers, with ok where nothing was found.
-- Calls: pgfeed.status_of_tables, pgfeed.status_of_triggers, pgfeed.status_of_log,
--   pgfeed.status_of_server.
-- Tables touched: none itself.
create or replace function pgfeed.status()
returns table ("check" text, status text, detail text, mend text)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $fn$
  with found as (
    select * from pgfeed.status_of_tables()
    union all select * from pgfeed.status_of_triggers()
    union all select * from pgfeed.status_of_log()
    union all select * from pgfeed.status_of_server()
  )
  select a."check", a.status, a.detail, a.mend from (
  select f."check", f.status, f.detail, f.mend from found f
  union all
  select c.name, 'ok', c.well, null
    from (values
      ('triggers', 'each table on the feed has all of its own, and they are on'),
      ('partitions', 'each partition and child is captured'),
      ('renamed', 'each table has the name that it was watched by'),
      ('dropped', 'each table is still there'),
      ('primary key', 'each table has one'),
      ('unlogged', 'each table survives a crash'),
      ('written by hand', 'no trigger written by hand is in the way'),
      ('row security', 'no table has policies of its own'),
      ('privileges', 'nobody has more rights on the log than needed'),
      ('prepared transactions', 'none is forgotten'),
      ('session_replication_role', 'no session passes the triggers by'),
      ('encoding', getdatabaseencoding()::text),
      ('owner', 'the trigger functions run as no superuser'),
      ('fsync', 'a commit survives a crash')) c (name, well)
   where not exists (select from found f where f."check" = c.name)
  ) a
   order by array_position(array['fail', 'warn', 'ok'], a.status), a."check", a.detail
$fn$;

comment on function pgfeed.status() is
  'What is right and wrong with the feed: check, status (ok, warn, fail), detail, mend.';
