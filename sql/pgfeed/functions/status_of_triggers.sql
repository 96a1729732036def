-- pgfeed.status_of_triggers(): findings about triggers written by hand, and about whose rights
-- triggers have.
--
-- Returns: as pgfeed.status(), which calls it. Calls: pgfeed.strange_code.
-- Tables touched: reads pgfeed.watch_list.
create or replace function pgfeed.status_of_triggers()
returns table ("check" text, status text, detail text, mend text)
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  with hand as (
    select t.*, t.tgrelid::regclass as rel, format('select pgfeed.watch(%L);', t.tgrelid::regclass) as watch
      from pg_trigger t
     where t.tgfoid = to_regprocedure('public.notify_table_change()') and not t.tgisinternal and t.tgparentid = 0
  )
  select 'written by hand', 'fail', format('%s has both %s and the triggers of pgfeed.watch(): changes are told twice',
                                           h.rel, h.tgname), format('drop trigger %I on %s;', h.tgname, h.rel)
    from hand h where h.tgrelid in (select w.rel from pgfeed.watch_list w)
  union all
  select 'written by hand', 'fail', format('trigger %s on %s is disabled', h.tgname, h.rel),
         format('alter table %s enable always trigger %I;', h.rel, h.tgname)
    from hand h where h.tgenabled = 'D'
  union all
  select 'written by hand', 'warn', format('trigger %s on %s is not for each row after the write: it cannot tell what changed',
                                           h.tgname, h.rel), h.watch
    from hand h where h.tgtype & 2 <> 0 or h.tgtype & 1 = 0 and h.tgtype & 32 = 0
  union all
  select 'written by hand', 'warn', format('trigger %s on %s fires after %s, which may have changed the row again',
                                           h.tgname, h.rel, min(o.tgname)), h.watch
    from hand h
    join pg_trigger o on o.tgrelid = h.tgrelid and not o.tgisinternal and o.tgname < h.tgname
     and o.tgtype & 3 = 1 and o.tgfoid <> h.tgfoid
   where h.tgtype & 3 = 1 group by h.tgname, h.rel, h.watch
  union all
  select 'session_replication_role', 'warn',
         format('trigger %s on %s does not fire for sessions with session_replication_role = replica', h.tgname, h.rel),
         format('alter table %s enable always trigger %I;', h.rel, h.tgname)
    from hand h
   where h.tgenabled = 'O'
     and (current_setting('session_replication_role') = 'replica'
          or exists (select from pg_db_role_setting s
                      where 'session_replication_role=replica' = any (s.setconfig))
          or exists (select from pg_subscription_rel s where s.srrelid = h.tgrelid))
  union all
  select 'privileges', 'fail', format('%s: %s', h.rel::regclass, s.detail), s.mend
    from (select w.rel::oid from pgfeed.watch_list w join pg_class c on c.oid = w.rel
          union select h.tgrelid from hand h) h (rel)
   cross join lateral pgfeed.strange_code(h.rel) s
  union all
  select 'owner', 'warn', format('%s runs as %s, a superuser, and so do casts to json that users define',
                                 p.oid::regprocedure, r.rolname),
         'Create role pgfeed_owner nologin and run pgfeed install again.'
    from pg_proc p
    join pg_roles r on r.oid = p.proowner
   where p.oid in (to_regprocedure('pgfeed.capture()'), to_regprocedure('pgfeed.capture_update()'),
                 to_regprocedure('public.notify_table_change()')) and r.rolsuper
$fn$;

comment on function pgfeed.status_of_triggers() is
  'Used by pgfeed.status(): findings about triggers written by hand, and about the owner of the '
  'trigger functions.';
