-- pgfeed.status_of_tables(): findings about the watched tables.
--
-- Returns: as pgfeed.status(), which calls it. Calls: pgfeed.triggers_of.
-- Tables touched: reads pgfeed.watch_list, pgfeed.grantee.
create or replace function pgfeed.status_of_tables()
returns table ("check" text, status text, detail text, mend text)
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  with w as (
    select l.*, c.relrowsecurity, c.relpersistence, c.relowner, c.relnamespace, n.nspname || '.' || c.relname as now,
           format('select pgfeed.watch(%L, wake => %L, level => %L);', l.rel, l.wake, l.level) as again
      from pgfeed.watch_list l
      join pg_class c on c.oid = l.rel
      join pg_namespace n on n.oid = c.relnamespace
  )
  select case when t.rel <> w.rel and t.state = 'missing' then 'partitions' else 'triggers' end,
         case when t.rel <> w.rel and t.state = 'missing' and t.name like '%truncate' then 'warn' else 'fail' end,
         format('%s: trigger %s on %s is %s', w.rel, t.name, t.rel, t.state), w.again
    from w cross join lateral pgfeed.triggers_of(w.id) t
   where t.state <> 'ok'
  union all
  select 'renamed', 'warn', format('%s is now called %s, and clients must ask for it by that name', w.name, w.now), w.again
    from w where w.name <> w.now
  union all
  select 'dropped', 'warn', format('%s does not exist any more', l.name),
         format('delete from pgfeed.watch_list where id = %s;', l.id)
    from pgfeed.watch_list l where not exists (select from pg_class c where c.oid = l.rel)
  union all
  select 'primary key', 'warn', format('%s has none: clients cannot tell its rows apart', w.rel),
         format('alter table %s add primary key (…);', w.rel)
    from w where not exists (select from pg_index i where i.indrelid = w.rel and i.indisprimary)
  union all
  select 'unlogged', 'warn', format('%s is emptied by a crash, and nobody is told', w.rel),
         format('alter table %s set logged;', w.rel)
    from w where w.relpersistence = 'u'
  union all
  select 'row security', 'warn', format('policies of %s may hide rows from %s, whose snapshots lack them', w.rel, r.rolname),
         format('As a superuser: alter role %I bypassrls;', r.rolname)
    from w cross join pgfeed.grantee g
    join pg_roles r on r.rolname = g.role
   where w.relrowsecurity and not r.rolbypassrls and not r.rolsuper and not pg_has_role(r.oid, w.relowner, 'usage')
  union all
  select 'privileges', 'fail', format('%s may not read %s', r.rolname, w.rel), w.again
    from w cross join pgfeed.grantee g
    join pg_roles r on r.rolname = g.role
   where not has_table_privilege(r.oid, w.rel, 'select')
  union all
  select 'privileges', s.status, format('%s may not use schema %s, where %s is%s', s.role, w.relnamespace::regnamespace,
                                        w.rel, s.means),
         format('grant usage on schema %s to %I;', w.relnamespace::regnamespace, s.role)
    from w cross join lateral (
      select 'fail', r.rolname, null from pgfeed.grantee g join pg_roles r on r.rolname = g.role
      union all
      select 'warn', pg_get_userbyid(p.proowner), ': large rows leave a gap'
        from pg_proc p where p.oid = to_regprocedure('pgfeed.capture()')) s (status, role, means)
   where not has_schema_privilege(s.role, w.relnamespace, 'usage')
$fn$;

comment on function pgfeed.status_of_tables() is
  'Used by pgfeed.status(): findings about the watched tables.';
