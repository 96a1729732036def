-- 001_log.sql: the log, the truth of the feed.
-- id orders the changes of any one row, for it is drawn while the row is locked; xid tells which
-- transaction wrote it (top level, 64 bits, never wraps). Wide columns first, so that nothing is
-- padded.
-- One block, because CREATE INDEX IF NOT EXISTS and COMMENT lock the table even where they do
-- nothing.
do $do$
begin
  if pg_catalog.to_regnamespace('pgfeed') is null then
    create schema pgfeed;
    comment on schema pgfeed is 'Change feed: the log of row changes and what writes and reads it.';
  end if;
  if pg_catalog.to_regclass('pgfeed.log') is not null then return; end if;

  create table pgfeed.log (
    id    bigint      generated always as identity (cache 1),
    xid   xid8        not null default pg_catalog.pg_current_xact_id(),
    at    timestamptz not null default pg_catalog.clock_timestamp(),
    watch integer,
    rel   oid,
    op    "char"      not null,
    key   json,
    new   json,
    old   json
  ) with (
    -- It grows at one end and is pruned at the other. Giving space back would lock writers out.
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50000,
    autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 500000,
    autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000,
    toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 50000,
    vacuum_truncate = false, toast.vacuum_truncate = false
  );
  create index log_xid_id on pgfeed.log (xid, id);

  -- A writer of a row over 2 kB pays for its compression: lz4 costs a fraction of pglz.
  begin
    alter table pgfeed.log alter column new set compression lz4, alter column old set compression lz4;
  exception when feature_not_supported or invalid_parameter_value then
    raise debug 'this server has no lz4, the log is compressed with pglz';
  end;

  comment on table pgfeed.log is
    'Row changes as committed. Written by triggers only, read by gateways, emptied by '
    'pgfeed.prune().';
  comment on column pgfeed.log.id is
    'Identity of the change and order within one row; not an order of commits.';
  comment on column pgfeed.log.xid is
    'Transaction that made the change: what commits together has one xid.';
  comment on column pgfeed.log.at is 'The clock of the database at the write.';
  comment on column pgfeed.log.watch is
    'pgfeed.watch_list.id of the watched table; null for a trigger written by hand.';
  comment on column pgfeed.log.rel is
    'The table that the row is stored in (a partition, a child); null for a beat.';
  comment on column pgfeed.log.op is
    'I U D T: insert, update, delete, truncate. i u d: too large, only key is set. B: beat. G: '
    'gap, changes of the table were not captured.';
  comment on column pgfeed.log.key is 'Primary key of a row that is too large to be logged.';
  comment on column pgfeed.log.new is 'The row after insert or update.';
  comment on column pgfeed.log.old is
    'The row before update or delete; for u the former key where it changed.';
end
$do$;
