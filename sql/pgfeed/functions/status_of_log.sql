-- pgfeed.status_of_log(): findings about log and positions.
--
-- Returns: as pgfeed.status(), which calls it. Tables touched: reads pgfeed.log, pgfeed.tick,
--   pgfeed.meta.
create or replace function pgfeed.status_of_log()
returns table ("check" text, status text, detail text, mend text)
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select 'log size', case when s.size > 10737418240 then 'warn' else 'ok' end,
         format('about %s changes, %s', greatest(c.reltuples, 0)::bigint, pg_size_pretty(s.size)),
         case when s.size > 10737418240 then 'select pgfeed.prune(''1 hour''); until it returns 0' end
    from pg_class c cross join lateral (select pg_total_relation_size(c.oid)) s (size)
   where c.oid = to_regclass('pgfeed.log')
  union all
  select 'log age', case when l.at < clock_timestamp() - interval '3 days' then 'warn' else 'ok' end,
         case when l.at is null then 'it has no changes'
              else format('the oldest change is of %s', date_trunc('second', l.at)) end,
         case when l.at < clock_timestamp() - interval '3 days'
              then 'Run a gateway, which prunes, or call pgfeed.prune() from time to time.' end
    from (select 1) one
    left join (select l.at from pgfeed.log l order by l.xid, l.id limit 1) l on true
  union all
  select 'ticks', case when t.behind and coalesce(t.newest < clock_timestamp() - interval '5 minutes', true)
                       then 'warn' else 'ok' end,
         case when t.count = 0 then 'none yet: the first gateway makes one'
              else format('%s, from %s to %s', t.count, date_trunc('second', t.oldest),
                          date_trunc('second', t.newest)) end,
         case when t.behind and coalesce(t.newest < clock_timestamp() - interval '5 minutes', true)
              then 'No gateway is reading: start pgfeed serve.' end
    from (select count(*), min(k.at), max(k.at),
                 coalesce(max(k.last), 0) < coalesce(pg_sequence_last_value('pgfeed.log_id_seq'), 0)
            from pgfeed.tick k) t (count, oldest, newest, behind)
  union all
  select 'history', case when same.is then 'ok' else 'warn' end,
         format('%s, %s', m.history, case when same.is then 'written by this database'
                                          else 'written by another one: this is a restored or copied database' end),
         case when not same.is then 'select * from pgfeed.make_tick(); as the first gateway does: clients start over.' end
    from pgfeed.meta m
   cross join lateral (select m.sysid = c.system_identifier and m.dbid = d.oid
                         from pg_control_system() c, pg_database d where d.datname = current_database()) same ("is")
$fn$;

comment on function pgfeed.status_of_log() is
  'Used by pgfeed.status(): findings about log and positions.';
