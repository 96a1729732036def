-- 002_tick.sql: durable, named snapshots. A position is "tick N, and these ids since".
-- tag tells a tick from one with the same number in another history (failover with loss, restore).
do $do$
begin
  if pg_catalog.to_regclass('pgfeed.tick') is not null then return; end if;

  create table pgfeed.tick (
    id   bigint      generated always as identity (cache 1),
    at   timestamptz not null default pg_catalog.clock_timestamp(),
    last bigint      not null,
    tag  integer     not null default (pg_catalog.random() * 2147483647)::integer,
    snap pg_snapshot not null default pg_catalog.pg_current_snapshot(),
    constraint tick_pkey primary key (id)
  ) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000, vacuum_truncate = false);

  comment on table pgfeed.tick is
    'Durable snapshots, made by pgfeed.make_tick(). The oldest is the oldest position that is '
    'served.';
  comment on column pgfeed.tick.last is
    'The last log id that had been drawn when the tick was made.';
  comment on column pgfeed.tick.tag is
    'Random; a position names id and tag, so that another history is noticed.';
  comment on column pgfeed.tick.snap is 'The transactions that the position has seen.';
end
$do$;
