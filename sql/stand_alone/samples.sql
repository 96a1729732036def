-- The sample tables of 01_init.sql, as far as this database has them and the feed can have them: an
-- application may call a view so, or a table of somebody else.
do $do$
declare
  v_table regclass;
begin
  for v_table in
    select c.oid
      from pg_catalog.unnest(array['profiles', 'roles', 'courses', 'registrations'])
             with ordinality s (name, place)
      join pg_catalog.pg_class c
        on c.relname = s.name and c.relnamespace = pg_catalog.to_regnamespace('public')
     where c.relkind in ('r', 'p') and pg_catalog.pg_has_role(c.relowner, 'usage')
     order by s.place
  loop
    perform pgfeed.watch(v_table);
  end loop;
end
$do$;

commit;
