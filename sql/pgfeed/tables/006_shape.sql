-- 006_shape.sql: since when each table on the feed has the columns and the capture that it has now,
-- as gateways noticed it. A client that comes back from before then cannot go on from there.
do $do$
begin
  if exists (select from pg_catalog.pg_attribute a
              where a.attrelid = pg_catalog.to_regclass('pgfeed.shape') and a.attname = 'members') then
    return;
  elsif pg_catalog.to_regclass('pgfeed.shape') is not null then
    -- Made by a version that did not know them.
    alter table pgfeed.shape add members bigint[];
    return;
  end if;

  create table pgfeed.shape (
    rel     oid    not null,
    shape   bigint not null,
    capture bigint not null,
    since   bigint not null,
    members bigint[],
    constraint shape_pkey primary key (rel)
  );

  comment on table pgfeed.shape is
    'Columns and capture of tables on the feed as gateways last saw them. Written by '
    'pgfeed.note_shapes().';
  comment on column pgfeed.shape.shape is 'A number for name, key and columns.';
  comment on column pgfeed.shape.capture is 'A number for the triggers.';
  comment on column pgfeed.shape.since is
    'pgfeed.tick.id: positions from this tick on have only rows of this shape behind them.';
  comment on column pgfeed.shape.members is 'The partitions and children, as pgfeed.members_of().';
end
$do$;
