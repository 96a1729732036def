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
  select c.name, 'ok', 'nothing found', null
    from unnest(array['triggers', 'partitions', 'renamed', 'dropped', 'primary key', 'unlogged', 'written by hand',
                      'row security', 'privileges', 'prepared transactions', 'session_replication_role',
                      'encoding', 'owner', 'fsync']) c (name)
   where not exists (select from found f where f."check" = c.name)
  ) a
   order by array_position(array['fail', 'warn', 'ok'], a.status), a."check", a.detail
$fn$;

comment on function pgfeed.status() is
  'What is right and wrong with the feed: check, status (ok, warn, fail), detail, mend.';
