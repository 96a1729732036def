-- pgfeed.mode_of(p_rel): whether rows of a table need care.
--
-- careful: virtual generated columns (triggers see null in them) and casts to json that somebody
-- defined
--   for a type of a column, however deep: row_to_json calls them, and they may fail.
-- Parameters: p_rel the table. Returns: plain or careful. Tables touched: catalog only.
create or replace function pgfeed.mode_of(p_rel regclass) returns text
language sql stable
set search_path = pg_catalog, pg_temp
as $fn$
  with recursive types (oid) as (
    select a.atttypid from pg_attribute a where a.attrelid = p_rel and a.attnum > 0 and not a.attisdropped
    union
    select x.oid
      from types t
      join pg_type y on y.oid = t.oid
     cross join lateral (
       select y.typbasetype
       union all select y.typelem
       union all select a.atttypid from pg_attribute a
                  where a.attrelid = y.typrelid and a.attnum > 0 and not a.attisdropped) x (oid)
     where x.oid <> 0
  )
  select case when exists (select from pg_attribute a
                            where a.attrelid = p_rel and a.attgenerated = 'v' and not a.attisdropped)
                or exists (select from types t
                             join pg_cast c on c.castsource = t.oid
                                           and c.casttarget = 'json'::regtype and c.castmethod = 'f')
              then 'careful' else 'plain' end
$fn$;

comment on function pgfeed.mode_of(regclass) is
  'Whether rows of a table need care: plain or careful.';
