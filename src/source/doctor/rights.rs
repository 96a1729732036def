//! Is the feed installed, and may this role use it?

use tokio_postgres::{Client, Error};

use crate::source::admin::Finding;

/// By the catalog: names in a schema that one may not use cannot be asked for.
const INSTALLED: &str = "
    select exists (select from pg_catalog.pg_class c
                     join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                    where n.nspname = 'pgfeed' and c.relname = 'watch_list')";

const MISSING: &str = "
    with ours as (select oid from pg_catalog.pg_namespace where nspname = 'pgfeed')
    select 'USAGE on schema pgfeed' from ours where not has_schema_privilege(oid, 'usage')
    union all
    select format('SELECT on pgfeed.%s', c.relname)
      from ours join pg_catalog.pg_class c on c.relnamespace = ours.oid
     where c.relname in ('log', 'tick', 'meta', 'watch_list')
       and not has_table_privilege(c.oid, 'select')
    union all
    select format('EXECUTE on function pgfeed.%s()', p.proname)
      from ours join pg_catalog.pg_proc p on p.pronamespace = ours.oid
     where p.proname in ('make_tick', 'beat', 'prune', 'status')
       and not has_function_privilege(p.oid, 'execute')";

/// By the catalog too: a name in a schema that one may not use cannot be resolved.
const UNREADABLE: &str = "
    with watched as (
      select c.oid, c.relnamespace, format('%I.%I', n.nspname, c.relname) as name, n.nspname
        from pgfeed.watch_list w
        join pg_catalog.pg_class c on c.oid = w.rel
        join pg_catalog.pg_namespace n on n.oid = c.relnamespace)
    select distinct format('USAGE on schema %I', nspname) from watched
     where not has_schema_privilege(relnamespace, 'usage')
    union all
    select 'SELECT on ' || name from watched where not has_table_privilege(oid, 'select')";

pub(super) async fn is_installed(client: &Client) -> Result<bool, Error> {
    client.query_one(INSTALLED, &[]).await?.try_get(0)
}

/// What this role lacks of the feed itself, as one finding.
pub(super) async fn examine(client: &Client) -> Result<Option<Finding>, Error> {
    lacks(client, MISSING).await
}

/// What this role lacks to read the tables on the feed, as one finding.
pub(super) async fn examine_tables(client: &Client) -> Result<Option<Finding>, Error> {
    lacks(client, UNREADABLE).await
}

async fn lacks(client: &Client, query: &str) -> Result<Option<Finding>, Error> {
    let rows = client.query(query, &[]).await?;
    let lacking: Vec<String> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    if lacking.is_empty() {
        return Ok(None);
    }
    let role: String = client.query_one("select current_user::text", &[]).await?.try_get(0)?;
    let detail = format!("role {role} lacks {}", lacking.join(", "));
    let mend = format!("As the owner of the database: pgfeed install --grant-to {role}");
    Ok(Some(Finding::fail("rights", detail, mend)))
}
