-- The sample tables of 01_init.sql, as far as this database has them.
do $do$
declare
  v_table regclass;
begin
  foreach v_table in array array[
    pg_catalog.to_regclass('public.profiles'), pg_catalog.to_regclass('public.roles'),
    pg_catalog.to_regclass('public.courses'), pg_catalog.to_regclass('public.registrations')]
  loop
    if v_table is not null then perform pgfeed.watch(v_table); end if;
  end loop;
end
$do$;

commit;
