//! Looks at what a gateway relies on: that the tables it is told of exist, and that the feed's
//! triggers are whole.

use super::{PgLog, error::within, log::STEP_LIMIT};
use crate::{change::TableName, feed::LogError};

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// Of the tables asked for, those that do not exist.
    pub missing: Vec<TableName>,
    /// Why writes to a watched table may go uncaptured, in one sentence each.
    pub leaks: Vec<String>,
}

const MISSING: &str = "
    select t.schema, t.name
      from unnest($1::text[], $2::text[]) t (schema, name)
     where not exists (select from pg_catalog.pg_class c
                         join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                        where n.nspname = t.schema and c.relname = t.name
                          and c.relkind in ('r', 'p'))";

const LEAKS: &str = "
    select detail from pgfeed.status()
     where status = 'fail' and \"check\" in ('triggers', 'partitions', 'written by hand')";

impl PgLog {
    /// Looks once; `named` are the tables that the settings name.
    pub async fn inspect(&self, named: &[TableName]) -> Result<Inspection, LogError> {
        let doing = "inspecting the feed's tables";
        let client = self.pooled().await?;
        let schemas: Vec<&str> = named.iter().map(|it| &*it.schema).collect();
        let names: Vec<&str> = named.iter().map(|it| &*it.name).collect();
        let rows = within(STEP_LIMIT, doing, client.query(MISSING, &[&schemas, &names])).await?;
        let missing =
            rows.iter().map(|row| TableName { schema: row.get(0), name: row.get(1) }).collect();
        let rows = within(STEP_LIMIT, doing, client.query(LEAKS, &[])).await?;
        client.give_back();
        Ok(Inspection { missing, leaks: rows.iter().map(|row| row.get(0)).collect() })
    }
}
