-- pgfeed.key_of(p_watch, p_rel, p_row): the primary key of a row as JSON, without touching other
-- columns.
--
-- Parameters: p_watch, p_rel as for pgfeed.key_columns; p_row a row of p_rel.
-- Returns: an object, '{}' for a table without primary key.
-- Calls: pgfeed.key_columns. Tables touched: none.
create or replace function pgfeed.key_of(p_watch integer, p_rel oid, p_row record) returns json
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $fn$
declare
  v_pairs text;
  v_key   json;
begin
  select string_agg(format('%L, ($1).%I', c, c), ', ' order by n) into v_pairs
    from unnest(pgfeed.key_columns(p_watch, p_rel)) with ordinality u (c, n);
  if v_pairs is null then return '{}'; end if;
  execute format('select json_build_object(%s)', v_pairs) into v_key using p_row;
  return v_key;
end
$fn$;

comment on function pgfeed.key_of(integer, oid, record) is 'The primary key of a row as JSON.';
