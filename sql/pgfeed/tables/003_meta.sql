-- 003_meta.sql: one row about the log as a whole.
do $do$
begin
  if pg_catalog.to_regclass('pgfeed.meta') is not null then return; end if;

  create table pgfeed.meta (
    one        boolean not null default true,
    dbid       oid     not null,
    sysid      bigint  not null,
    prune_from xid8    not null default '3',
    history    uuid    not null default pg_catalog.gen_random_uuid(),
    version    integer not null,
    constraint meta_pkey primary key (one),
    constraint meta_one_row check (one)
  );

  comment on table pgfeed.meta is 'One row: which history the log belongs to.';
  comment on column pgfeed.meta.dbid is
    'The database that wrote the log: a copy of it starts a new history.';
  comment on column pgfeed.meta.sysid is
    'The cluster that wrote the log: xids of another one mean nothing here.';
  comment on column pgfeed.meta.prune_from is
    'Where pruning goes on, so that it does not walk over rows that are already dead.';
  comment on column pgfeed.meta.history is 'Changes whenever former positions stop making sense.';
  comment on column pgfeed.meta.version is 'The version of this schema.';
end
$do$;

insert into pgfeed.meta (sysid, dbid, version)
  select c.system_identifier, d.oid, 1
    from pg_catalog.pg_control_system() c, pg_catalog.pg_database d
   where d.datname = pg_catalog.current_database()
  on conflict (one) do update set version = excluded.version where meta.version <> excluded.version;
