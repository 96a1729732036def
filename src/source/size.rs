//! How large the watched tables are, by what PostgreSQL last found out itself. Costs no look at a
//! table and waits for none of its locks.

use super::{PgLog, error::within, log::STEP_LIMIT};
use crate::feed::LogError;

/// The size of one table, its partitions with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Whose.
    pub oid: u32,
    /// Rows.
    pub rows: f64,
    /// What its rows take, indexes left out.
    pub bytes: f64,
}

const ESTIMATE: &str = "
    with recursive tree(root, oid) as (
      select it, it from unnest($1::oid[]) it
      union
      select t.root, i.inhrelid
        from tree t join pg_catalog.pg_inherits i on i.inhparent = t.oid)
    select t.root,
           sum(c.reltuples)::float8,
           (sum(c.relpages::float8) * current_setting('block_size')::float8)::float8
      from tree t join pg_catalog.pg_class c on c.oid = t.oid
     where c.relkind = 'r' and c.reltuples >= 0
     group by t.root";

impl PgLog {
    /// Looks once at the tables with these oids; one that was never analyzed is left out.
    pub async fn estimate(&self, oids: &[u32]) -> Result<Vec<Estimate>, LogError> {
        let client = self.pooled().await?;
        let doing = "estimating the sizes of tables";
        let rows = within(STEP_LIMIT, doing, client.query(ESTIMATE, &[&oids])).await?;
        client.give_back();
        let read = |row: &tokio_postgres::Row| Estimate {
            oid: row.get(0),
            rows: row.get(1),
            bytes: row.get(2),
        };
        Ok(rows.iter().map(read).collect())
    }
}
