//! The resulting schema is a file. Set `PGFEED_UPDATE` to write it anew.

use std::fs;

use super::support::Database;

#[tokio::test]
async fn the_schema_is_as_written_down() {
    let (_database, session) = Database::with_feed().await;
    let mut listing =
        "-- schema.sql: what an installation makes, as tests/database/schema.rs lists it.\n"
            .to_owned();
    for query in [RELATIONS, FUNCTIONS] {
        for line in session.rows(query).await {
            listing.push_str(&line);
            listing.push('\n');
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/sql/schema.sql");
    if std::env::var_os("PGFEED_UPDATE").is_some() {
        fs::write(path, &listing).expect("the file can be written");
    }
    let written = fs::read_to_string(path).expect("the file is there");
    assert!(written == listing, "sql/schema.sql differs:\n{listing}");
}

/// Tables and views with columns, constraints, indexes and rights.
const RELATIONS: &str = "
  select line from (
    select c.relname, 0 as part, 0 as place,
           '-- ' || case c.relkind when 'r' then 'table' else 'view' end || ' pgfeed.' || c.relname || ': '
             || obj_description(c.oid, 'pg_class') as line
      from pg_class c where c.relnamespace = 'pgfeed'::regnamespace and c.relkind in ('r', 'v')
    union all
    select c.relname, 1, a.attnum,
           '  ' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
             || case when a.attnotnull then ' not null' else '' end
             || case when a.attidentity = 'a' then ' generated always as identity' else '' end
             || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
      from pg_class c
      join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
     where c.relnamespace = 'pgfeed'::regnamespace and c.relkind in ('r', 'v')
    union all
    select c.relname, 2, 0, '  constraint ' || k.conname || ' ' || pg_get_constraintdef(k.oid)
      from pg_class c join pg_constraint k on k.conrelid = c.oid
     where c.relnamespace = 'pgfeed'::regnamespace and k.contype <> 'n'
    union all
    select c.relname, 3, 0, '  ' || pg_get_indexdef(i.indexrelid)
      from pg_class c join pg_index i on i.indrelid = c.oid
     where c.relnamespace = 'pgfeed'::regnamespace and not i.indisprimary and not i.indisunique
    union all
    select c.relname, 4, 0, '  with (' || array_to_string(c.reloptions, ', ') || ')'
      from pg_class c where c.relnamespace = 'pgfeed'::regnamespace and c.relkind = 'r' and c.reloptions is not null
    union all
    select c.relname, 5, 0, '  grant ' || lower(x.privilege_type) || ' to ' || x.grantee::regrole
      from pg_class c cross join lateral aclexplode(c.relacl) x
     where c.relnamespace = 'pgfeed'::regnamespace and c.relkind in ('r', 'v') and x.grantee <> c.relowner
    union all
    select c.relname, 6, a.attnum,
           '  grant ' || lower(x.privilege_type) || ' (' || a.attname || ') to ' || x.grantee::regrole
      from pg_class c join pg_attribute a on a.attrelid = c.oid cross join lateral aclexplode(a.attacl) x
     where c.relnamespace = 'pgfeed'::regnamespace
  ) l order by relname collate \"C\", part, place, line collate \"C\"";

/// Functions with what they may do and who may call them.
const FUNCTIONS: &str = "
  select '-- function ' || n.nspname || '.' || p.proname || '(' || pg_get_function_arguments(p.oid)
           || ') returns ' || pg_get_function_result(p.oid) || E'\\n  language ' || l.lanname
           || case p.provolatile when 'v' then ' volatile' when 's' then ' stable' else ' immutable' end
           || case when p.prosecdef then ' security definer' else '' end
           || coalesce(E'\\n  set ' || array_to_string(p.proconfig, E'\\n  set '), '')
           || case when p.proowner = 'pgfeed_owner'::regrole then E'\\n  owner pgfeed_owner' else '' end
           || coalesce((select string_agg(E'\\n  grant execute to ' ||
                               case x.grantee when 0 then 'public' else x.grantee::regrole::text end, ''
                               order by x.grantee::regrole::text collate \"C\")
                          from aclexplode(p.proacl) x where x.grantee <> p.proowner), '')
           || E'\\n  -- ' || obj_description(p.oid, 'pg_proc')
    from pg_proc p
    join pg_namespace n on n.oid = p.pronamespace
    join pg_language l on l.oid = p.prolang
   where n.nspname = 'pgfeed' or p.oid = to_regprocedure('public.notify_table_change()')
   order by n.nspname collate \"C\", p.proname collate \"C\"";
