-- pgfeed.rows_of(p_op, p_rel, p_all): query for the rows of a transition table, typed as rows of
-- p_rel.
--
-- Rows of a transition table have no named type, and the fields of such a record cannot be reached
-- by name.
-- Parameters: p_op INSERT or DELETE; p_rel the table; p_all false: only the large rows.
-- Returns: the text of a query with one column, r. Called by: pgfeed.capture. Tables touched: none.
create or replace function pgfeed.rows_of(p_op text, p_rel oid, p_all boolean) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  select format('select (x.*)::%s as r from %s x%s', p_rel::regclass,
                case p_op when 'INSERT' then 'new_rows' else 'old_rows' end,
                case when not p_all then ' where pg_catalog.pg_column_size(x.*) > 262144' end)
$fn$;

comment on function pgfeed.rows_of(text, oid, boolean) is
  'Used by pgfeed.capture(): query for the rows of a transition table.';
