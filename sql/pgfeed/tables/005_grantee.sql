-- 005_grantee.sql: roles that gateways log in as. By name, so that a dump can be restored
-- elsewhere.
do $do$
begin
  if pg_catalog.to_regclass('pgfeed.grantee') is not null then return; end if;

  create table pgfeed.grantee (
    role name not null,
    constraint grantee_pkey primary key (role)
  );

  comment on table pgfeed.grantee is
    'Roles of gateways: pgfeed.watch() gives them SELECT on the tables that it puts on the feed.';
end
$do$;
