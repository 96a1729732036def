-- 004_watch_list.sql: the registry of watched tables. Triggers carry its id, so that a table keeps
-- its identity over renames, and rows of partitions are told under the table that was named.
do $do$
begin
  if pg_catalog.to_regclass('pgfeed.watch_list') is not null then return; end if;

  create table pgfeed.watch_list (
    id         integer     generated always as identity,
    rel        regclass    not null,
    at         timestamptz not null default pg_catalog.clock_timestamp(),
    level      text        not null,
    wake       text        not null,
    name       text        not null,
    granted_to name[]      not null default '{}',
    constraint watch_list_pkey primary key (id),
    constraint watch_list_rel unique (rel),
    constraint watch_list_level check (level in ('auto', 'row')),
    constraint watch_list_wake check (wake in ('auto', 'always', 'never'))
  );

  comment on table pgfeed.watch_list is
    'Tables on the feed. Written by pgfeed.watch() and pgfeed.unwatch() only.';
  comment on column pgfeed.watch_list.level is
    'As asked for: auto lets watch() take statement triggers where they are safe.';
  comment on column pgfeed.watch_list.wake is
    'auto: NOTIFY while no gateway is awake. always, never: never is for PREPARE TRANSACTION.';
  comment on column pgfeed.watch_list.name is 'What the table was called when it was watched.';
  comment on column pgfeed.watch_list.granted_to is
    'Roles that watch() gave SELECT to; unwatch() takes it back.';
end
$do$;
