-- pgfeed.triggers_of(p_id): the triggers that a watched table must have, and what is wrong with
-- those it has.
--
-- Row triggers of a partitioned table reach its partitions by themselves, also later ones; those of
-- other parents do not, nor does TRUNCATE. One place says what is wanted: watch() makes it,
-- status() checks it.
-- Parameters: p_id pgfeed.watch_list.id.
-- Returns: one row a trigger: table, name, state (ok, missing, off, outdated), and the command that
--   mends it.
-- Calls: pgfeed.level_of, pgfeed.mode_of. Tables touched: reads pgfeed.watch_list.
create or replace function pgfeed.triggers_of(p_id integer)
returns table (rel regclass, name text, state text, mend text)
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  with recursive w as (
    select l.rel::oid as root, pgfeed.level_of(l.rel, l.level) as level,
           array[l.id::text, l.wake, pgfeed.mode_of(l.rel)] as args
      from pgfeed.watch_list l where l.id = p_id
  ), tree as (
    select w.root as rel, false as part from w
    union all
    select i.inhrelid, c.relispartition
      from tree t
      join pg_inherits i on i.inhparent = t.rel
      join pg_class c on c.oid = i.inhrelid
  ), wanted as (
    select t.rel, '00_pgfeed_' || e.event as name, e.event, w.args,
           case e.event when 'update' then 'pgfeed.capture_update()' else 'pgfeed.capture()' end as calls,
           case when e.event = 'update' or w.level = 'row' and e.event <> 'truncate' then 1 else 0 end as by_row,
           e.bit
      from w cross join tree t
      join pg_class c on c.oid = t.rel
     cross join (values ('insert', 4), ('update', 16), ('delete', 8), ('truncate', 32)) e (event, bit)
     where case e.event when 'truncate' then c.relkind <> 'f' else not t.part end
  ), compared as (
    select k.*,
           case when g.oid is null then 'missing'
                when g.tgenabled <> 'A' then 'off'
                when g.tgfoid <> to_regprocedure(k.calls) or g.tgtype <> k.bit + k.by_row
                     or g.tgqual is not null or g.tgattr <> ''::int2vector
                     or g.tgargs <> (select string_agg(convert_to(a, 'UTF8') || '\x00'::bytea, ''::bytea order by n)
                                       from unnest(k.args) with ordinality u (a, n))
                then 'outdated' else 'ok' end as state
      from wanted k
      left join pg_trigger g on g.tgrelid = k.rel and g.tgname = k.name and g.tgparentid = 0
  )
  select k.rel::regclass, k.name, k.state,
         format('create or replace trigger %I after %s on %s%s for each %s execute function %s(%s);'
                ' alter table %3$s enable always trigger %1$I',
                k.name, k.event, k.rel::regclass,
                case when k.by_row = 0 and k.event = 'insert' then ' referencing new table as new_rows'
                     when k.by_row = 0 and k.event = 'delete' then ' referencing old table as old_rows' end,
                case k.by_row when 1 then 'row' else 'statement' end,
                rtrim(k.calls, '()'),
                (select string_agg(quote_literal(a), ', ' order by n) from unnest(k.args) with ordinality u (a, n)))
    from compared k
  union all
  select g.tgrelid::regclass, g.tgname, 'off',
         format('alter table %s enable always trigger %I', g.tgrelid::regclass, g.tgname)
    from tree t
    join pg_trigger g on g.tgrelid = t.rel and g.tgparentid <> 0 and g.tgenabled <> 'A'
   where g.tgfoid in (to_regprocedure('pgfeed.capture()'), to_regprocedure('pgfeed.capture_update()'))
$fn$;

comment on function pgfeed.triggers_of(integer) is
  'The triggers that a watched table must have, with their state and the command that mends it.';
