-- pgfeed.watched: the tables on the feed, as they are called now.
-- triggers: how many of the feed's triggers the table itself has; pgfeed.status() says whether they
-- are right.
create or replace view pgfeed.watched as
  select w.id, w.rel as relation, n.nspname as schema, c.relname as "table", w.wake,
         case when exists (select from pg_catalog.pg_trigger g
                            where g.tgrelid = c.oid and g.tgname = '00_pgfeed_insert' and g.tgtype & 1 = 0)
              then 'statement' else 'row' end as level,
         (select pg_catalog.count(*) from pg_catalog.pg_trigger g
           where g.tgrelid = c.oid and g.tgname ~ '^00_pgfeed_' and g.tgenabled = 'A')::integer as triggers,
         w.at as since
    from pgfeed.watch_list w
    join pg_catalog.pg_class c on c.oid = w.rel
    join pg_catalog.pg_namespace n on n.oid = c.relnamespace;

comment on view pgfeed.watched is 'Tables on the feed.';
