-- pgfeed.start_history(): forgets log and positions; clients are told to start over.
--
-- Returns: the name of the new history.
-- Called by: pgfeed.make_tick, when the database has been restored or copied; by hand as the owner.
-- Tables touched: empties pgfeed.log and pgfeed.tick; updates pgfeed.meta.
-- DELETE, not TRUNCATE: that would wait for readers with writers waiting behind it.
create or replace function pgfeed.start_history() returns uuid
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $fn$
declare
  v_history uuid;
begin
  delete from pgfeed.log;
  delete from pgfeed.tick;
  update pgfeed.meta
     set history = gen_random_uuid(), prune_from = '3',
         sysid = (select c.system_identifier from pg_control_system() c),
         dbid = (select d.oid from pg_database d where d.datname = current_database())
    returning history into v_history;
  return v_history;
end
$fn$;

comment on function pgfeed.start_history() is
  'Forgets log and positions: every client starts over.';
