-- check.sql: what must hold before anything is made. Touches nothing.
do $do$
begin
  if current_setting('server_version_num')::integer < 140000 then
    raise exception 'pgfeed needs PostgreSQL 14 or newer, this is %', current_setting('server_version')
      using errcode = 'feature_not_supported', hint = 'Upgrade the server.';
  end if;
  if pg_catalog.pg_is_in_recovery() then
    raise exception 'this server is a standby'
      using errcode = 'read_only_sql_transaction', hint = 'Install pgfeed on the primary.';
  end if;
  if pg_catalog.to_regnamespace('pgfeed') is null
     and not pg_catalog.has_database_privilege(current_database(), 'create') then
    raise exception '% may not create a schema in database %', current_user, current_database()
      using errcode = 'insufficient_privilege',
            hint = pg_catalog.format('Install as the owner of the database, or: grant create on database %I to %I;',
                                     current_database(), current_user);
  end if;
  if pg_catalog.to_regnamespace('pgfeed') is not null
     and not (select pg_catalog.pg_has_role(n.nspowner, 'usage')
                from pg_catalog.pg_namespace n where n.nspname = 'pgfeed') then
    raise exception 'schema pgfeed belongs to %',
        (select n.nspowner::regrole from pg_catalog.pg_namespace n where n.nspname = 'pgfeed')
      using errcode = 'insufficient_privilege', hint = 'Install as that role.';
  end if;
  if pg_catalog.to_regnamespace('public') is null
     or pg_catalog.to_regprocedure('public.notify_table_change()') is null
        and not pg_catalog.has_schema_privilege('public', 'create') then
    raise exception '% may not create public.notify_table_change()', current_user
      using errcode = 'insufficient_privilege',
            hint = pg_catalog.format('As the owner of schema public: grant create on schema public to %I;',
                                     current_user);
  end if;
  if pg_catalog.to_regprocedure('public.notify_table_change()') is not null
     and not (select pg_catalog.pg_has_role(p.proowner, 'usage') from pg_catalog.pg_proc p
               where p.oid = pg_catalog.to_regprocedure('public.notify_table_change()')) then
    raise exception 'public.notify_table_change() belongs to %',
        (select p.proowner::regrole from pg_catalog.pg_proc p
          where p.oid = pg_catalog.to_regprocedure('public.notify_table_change()'))
      using errcode = 'insufficient_privilege',
            hint = 'Install as that role, or let it drop or rename its function.';
  end if;
end
$do$;
