-- pgfeed.current_row(p_watch, p_rel, p_probe, p_unknown): the row as it stands now in this
-- transaction.
--
-- Other triggers may change a row again before its own capture comes: then that change is in the
-- log already, and logging the former image after it would leave clients with the wrong last value.
-- Parameters: p_watch, p_rel as for pgfeed.key_columns; p_probe a row as JSON that has the key;
--   p_unknown what to answer where the row cannot be looked up, as pgfeed.can_look says.
-- It is looked for in the watched table as a whole: an update may have moved it to another
-- partition. Of the probe the key alone is read, and not as a domain: its checks, which somebody
-- may have written, would run here.
-- Returns: the row as JSON, null where it is gone.
-- Calls: pgfeed.can_look, pgfeed.key_columns. Tables touched: reads pgfeed.watch_list and the
--   watched table.
create or replace function pgfeed.current_row(p_watch integer, p_rel oid, p_probe json, p_unknown json)
returns json
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $fn$
declare
  v_root oid := coalesce((select w.rel from pgfeed.watch_list w where w.id = p_watch), p_rel);
  v_same text;
  v_key  text;
  v_now  json;
begin
  if not pgfeed.can_look(p_watch, p_rel) then return p_unknown; end if;
  with recursive base (name, oid, typmod) as (
    select a.attname, a.atttypid, a.atttypmod from pg_attribute a
     where a.attrelid = v_root and a.attname = any (pgfeed.key_columns(p_watch, p_rel))
    union all
    select b.name, y.typbasetype, y.typtypmod
      from base b join pg_type y on y.oid = b.oid where y.typtype = 'd'
  )
  select string_agg(format('t.%1$I = r.%1$I', b.name), ' and '),
         string_agg(format('%I %s', b.name, format_type(b.oid, b.typmod)), ', ')
    into v_same, v_key
    from base b join pg_type y on y.oid = b.oid where y.typtype <> 'd';
  execute format('select row_to_json(t.*) from %s t, json_to_record($1) r (%s) where %s',
                 v_root::regclass, v_key, v_same)
    into v_now using p_probe;
  return v_now;
end
$fn$;

comment on function pgfeed.current_row(integer, oid, json, json) is
  'Used by pgfeed.capture_careful(): a row as it stands now, null where it is gone.';
