-- pgfeed.row_json(p_rel, p_row): the row as JSON, null where it would be larger than 64 MB.
--
-- Parameters: p_rel the table; p_row a row of it.
-- Triggers see null in virtual generated columns (PostgreSQL 18): these are computed here.
-- Called by: pgfeed.capture_careful, which catches what a cast to json may raise. Tables touched:
-- none.
create or replace function pgfeed.row_json(p_rel oid, p_row record) returns json
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $fn$
declare
  v_json  json;
  v_query text;
begin
  -- Over 2 GB the size comes as a negative number.
  if pg_column_size(p_row) not between 0 and 67108864 then return null; end if;
  if exists (select from pg_attribute a
              where a.attrelid = p_rel and a.attgenerated = 'v' and not a.attisdropped) then
    select format('select row_to_json(j.*) from (select %s from (select ($1).*) x) j',
                  string_agg(case when a.attgenerated = 'v'
                                  then format('(%s) as %I', pg_get_expr(d.adbin, d.adrelid), a.attname)
                                  else format('%I', a.attname) end, ', ' order by a.attnum))
      into v_query
      from pg_attribute a
      left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
     where a.attrelid = p_rel and a.attnum > 0 and not a.attisdropped;
    execute v_query into v_json using p_row;
  else
    v_json := row_to_json(p_row);
  end if;
  return case when octet_length(v_json::text) <= 67108864 then v_json end;
end
$fn$;

comment on function pgfeed.row_json(oid, record) is
  'Used by pgfeed.capture_careful(): a row as JSON, null where it would be over 64 MB.';
