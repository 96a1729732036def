-- pgfeed.check_watchable(p_rel): raises, and says what to do instead, if a table cannot be on the
-- feed.
--
-- Parameters: p_rel the table. Returns: nothing. Called by: pgfeed.watch.
-- Calls: pgfeed.strange_code.
-- Tables touched: reads pgfeed.watch_list.
create or replace function pgfeed.check_watchable(p_rel regclass) returns void
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $fn$
declare
  v_table record;
  v_other regclass;
  v_code  record;
begin
  select c.*, n.nspname into v_table
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = p_rel;
  if not found then
    raise exception 'there is no table with oid %', p_rel::oid using errcode = 'undefined_table',
      hint = 'Name the table: select pgfeed.watch(''schema.table'')';
  elsif v_table.nspname in ('pg_catalog', 'information_schema', 'pg_toast') then
    raise exception '% belongs to the system', p_rel using errcode = 'wrong_object_type',
      hint = 'PostgreSQL has no triggers on its own tables: watch tables of your own.';
  elsif v_table.nspname = 'pgfeed' then
    raise exception '% is part of the feed, which cannot watch itself', p_rel
      using errcode = 'wrong_object_type', hint = 'Watch tables of your own.';
  elsif v_table.relkind in ('v', 'm') then
    raise exception '% is a view', p_rel using errcode = 'wrong_object_type',
      hint = 'Views have no changes of their own: watch the tables behind it.';
  elsif v_table.relkind = 'f' then
    raise exception '% is a foreign table', p_rel using errcode = 'wrong_object_type',
      hint = 'Its rows change elsewhere, unseen from here: install pgfeed in the database that stores them.';
  elsif v_table.relkind not in ('r', 'p') then
    raise exception '% is not a table', p_rel using errcode = 'wrong_object_type', hint = 'Name a table.';
  elsif v_table.relpersistence = 't' then
    raise exception '% is a temporary table', p_rel using errcode = 'wrong_object_type',
      hint = 'Only its own session can read it: make it an ordinary table.';
  elsif not pg_has_role(v_table.relowner, 'usage') then
    raise exception '% belongs to %, and only its owner can put it on the feed', p_rel, v_table.relowner::regrole
      using errcode = 'insufficient_privilege',
            hint = format('As a superuser: grant %s to %I; or let that role give it away: alter table %s owner to %2$I;',
                          v_table.relowner::regrole, current_user, p_rel);
  end if;

  -- Triggers of a parent reach its children: watched twice, a row would be told twice.
  with recursive up (rel) as (
    select i.inhparent from pg_inherits i where i.inhrelid = p_rel
    union all select i.inhparent from up u join pg_inherits i on i.inhrelid = u.rel
  ), down (rel) as (
    select i.inhrelid from pg_inherits i where i.inhparent = p_rel
    union all select i.inhrelid from down d join pg_inherits i on i.inhparent = d.rel
  )
  select w.rel into v_other from pgfeed.watch_list w
   where w.rel in (select u.rel from up u union all select d.rel from down d) limit 1;
  if found then
    raise exception '% and % hold the same rows, and % is watched already', p_rel, v_other, v_other
      using errcode = 'object_not_in_prerequisite_state',
            hint = format('To watch %s instead: select pgfeed.unwatch(%L);', p_rel, v_other);
  end if;

  select s.* into v_code from pgfeed.strange_code(p_rel) s limit 1;
  if found then
    raise exception '%: %', p_rel, v_code.detail using errcode = 'insufficient_privilege', hint = v_code.mend;
  end if;
end
$fn$;

comment on function pgfeed.check_watchable(regclass) is
  'Raises with the mend if a table cannot be on the feed.';
