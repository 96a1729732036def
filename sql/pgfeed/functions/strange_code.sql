-- pgfeed.strange_code(p_rel): code of others that the types of a table would have the trigger
-- functions run, with the rights of their owner, who may write the log.
--
-- row_to_json calls casts to json that are defined for a type, however deep in domains, arrays and
-- composites. Where a row is looked up again by its key, the key is read from JSON, which checks the
-- domains in it, but for the one that a column has itself: pgfeed.current_row leaves it out.
-- Code is of others unless it is C or built in, or belongs to a superuser or to a role that may do
-- what the owner of the feed may. Partitions and children count, for their rows are told too.
-- Parameters: p_rel the table.
-- Returns: a row for each piece of code: what is wrong, and what mends it.
-- Called by: pgfeed.check_watchable, pgfeed.status_of_triggers. Tables touched: catalog only.
create or replace function pgfeed.strange_code(p_rel regclass)
returns table (detail text, mend text)
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  with recursive tree (rel) as (
    select p_rel::oid
    union
    select i.inhrelid from tree t join pg_inherits i on i.inhparent = t.rel
  ), types (oid, is_key, is_inner) as (
    select a.atttypid, a.attname = any (pgfeed.key_columns(null, p_rel)), false
      from tree t
      join pg_attribute a on a.attrelid = t.rel and a.attnum > 0 and not a.attisdropped
    union
    select x.oid, t.is_key, t.is_inner or x.is_inner
      from types t
      join pg_type y on y.oid = t.oid
     cross join lateral (
       select y.typbasetype, false
       union all select y.typelem, true
       union all select a.atttypid, true from pg_attribute a
                  where a.attrelid = y.typrelid and a.attnum > 0 and not a.attisdropped) x (oid, is_inner)
     where x.oid <> 0
  ), called (what, type, function, instead) as (
    select 'cast to json', c.castsource, c.castfunc, format('drop cast (%s as json);', c.castsource::regtype)
      from types t
      join pg_cast c on c.castsource = t.oid and c.casttarget = 'json'::regtype and c.castmethod = 'f'
    union
    select 'check', k.contypid, f.oid, format('alter domain %s drop constraint %I;', k.contypid::regtype, k.conname)
      from types t
      join pg_constraint k on k.contypid = t.oid
      join pg_depend d on d.classid = 'pg_constraint'::regclass and d.objid = k.oid
      left join pg_operator o on d.refclassid = 'pg_operator'::regclass and o.oid = d.refobjid
      join pg_proc f on f.oid = case d.refclassid when 'pg_proc'::regclass then d.refobjid else o.oprcode end
     where t.is_key and t.is_inner
  )
  select format('the %s of %s calls %s of %s, as who may write the log', c.what, c.type::regtype, c.function::regprocedure,
                p.proowner::regrole),
         format('alter function %s owner to %I; if its code may be trusted, else: %s', c.function::regprocedure,
                pg_get_userbyid(n.nspowner), c.instead)
    from called c
    join pg_proc p on p.oid = c.function
    join pg_language l on l.oid = p.prolang
    join pg_namespace n on n.nspname = 'pgfeed'
   where l.lanname not in ('internal', 'c') and not pg_has_role(p.proowner, n.nspowner, 'usage')
$fn$;

comment on function pgfeed.strange_code(regclass) is
  'Code of others that the types of a table would have the trigger functions run.';
