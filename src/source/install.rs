//! Puts the feed into a database: applies the pieces of `sql/pgfeed/`, and puts tables on the feed.
//!
//! Everything an installation does happens in one transaction under an advisory lock, so that it is
//! there whole or not at all, and may be repeated at any time. It never waits long for a lock on a
//! table: behind DDL that waits, every writer of the table would wait too.

mod error;
mod pieces;

use tokio_postgres::{Client, Transaction};

pub use error::InstallError;
pub use pieces::{SAMPLE_TABLES, stand_alone_script};

/// What an installation found and made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Whether there was no feed before.
    pub is_new: bool,
    /// The version of the schema.
    pub version: i32,
    /// The role whose rights the trigger functions have.
    pub runs_as: String,
    /// The tables on the feed, as `schema.table`.
    pub watched: Vec<String>,
    /// The gateway's role, if one was named.
    pub granted_to: Option<String>,
}

/// A table that [`watch`] put on the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedTable {
    /// As it was asked for.
    pub table: String,
    /// `row` or `statement`: how INSERT and DELETE are captured.
    pub level: String,
}

/// Makes or upgrades the feed; the role `grant_to` gets what a gateway needs, and no more.
pub async fn install(client: &mut Client, grant_to: Option<&str>) -> Result<Report, InstallError> {
    let transaction = client.transaction().await.map_err(InstallError::Begin)?;
    let is_new = !has_feed(&transaction).await?;
    prepare(&transaction).await?;
    for (name, sql) in pieces::PIECES {
        transaction.batch_execute(sql).await.map_err(|error| InstallError::piece(name, error))?;
    }
    if let Some(role) = grant_to {
        transaction
            .execute("select pgfeed.grant_to($1::text::name)", &[&role])
            .await
            .map_err(|error| InstallError::grant(role, error))?;
    }
    let report = report(&transaction, is_new, grant_to).await?;
    transaction.commit().await.map_err(InstallError::Commit)?;
    Ok(report)
}

/// Puts `tables` on the feed, all or none. Text before the first dot is the schema, else `public`.
pub async fn watch(
    client: &mut Client,
    tables: &[String],
) -> Result<Vec<WatchedTable>, InstallError> {
    let transaction = begin(client).await?;
    let mut watched = Vec::with_capacity(tables.len());
    for table in tables {
        let row = transaction
            .query_one(
                "select pgfeed.watch($1::oid::regclass)",
                &[&find(&transaction, table).await?],
            )
            .await
            .map_err(|error| InstallError::table(table, error))?;
        watched.push(WatchedTable { table: table.clone(), level: row.get(0) });
    }
    transaction.commit().await.map_err(InstallError::Commit)?;
    Ok(watched)
}

/// Takes `tables` off the feed, all or none, and says how many triggers that dropped.
pub async fn unwatch(client: &mut Client, tables: &[String]) -> Result<i32, InstallError> {
    let transaction = begin(client).await?;
    let mut dropped = 0;
    for table in tables {
        let row = transaction
            .query_one(
                "select pgfeed.unwatch($1::oid::regclass)",
                &[&find(&transaction, table).await?],
            )
            .await
            .map_err(|error| InstallError::table(table, error))?;
        dropped += row.get::<_, i32>(0);
    }
    transaction.commit().await.map_err(InstallError::Commit)?;
    Ok(dropped)
}

/// Makes the sample tables, with a few rows, where they are missing. They are not watched by that.
pub async fn make_samples(client: &mut Client) -> Result<(), InstallError> {
    client
        .batch_execute(pieces::SAMPLES)
        .await
        .map_err(|error| InstallError::piece("sql/01_init.sql", error))
}

/// A transaction that may call the feed's functions; without a feed it says how to get one.
async fn begin(client: &mut Client) -> Result<Transaction<'_>, InstallError> {
    let transaction = client.transaction().await.map_err(InstallError::Begin)?;
    if !has_feed(&transaction).await? {
        return Err(InstallError::NotInstalled);
    }
    prepare(&transaction).await?;
    Ok(transaction)
}

async fn prepare(transaction: &Transaction<'_>) -> Result<(), InstallError> {
    transaction
        .batch_execute(pieces::PREPARE)
        .await
        .map_err(|error| InstallError::piece("lock", error))
}

async fn has_feed(transaction: &Transaction<'_>) -> Result<bool, InstallError> {
    let row = transaction
        .query_one(
            "select exists (select from pg_catalog.pg_class c \
                              join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
                             where n.nspname = 'pgfeed' and c.relname = 'watch_list')",
            &[],
        )
        .await
        .map_err(InstallError::Look)?;
    Ok(row.get(0))
}

/// The oid of a table named in text.
async fn find(transaction: &Transaction<'_>, table: &str) -> Result<u32, InstallError> {
    let (schema, name) = table.split_once('.').unwrap_or(("public", table));
    let row = transaction
        .query_opt(
            "select c.oid from pg_catalog.pg_class c \
               join pg_catalog.pg_namespace n on n.oid = c.relnamespace \
              where n.nspname = $1::text and c.relname = $2::text",
            &[&schema, &name],
        )
        .await
        .map_err(InstallError::Look)?;
    row.map(|row| row.get(0))
        .ok_or_else(|| InstallError::NoTable { schema: schema.to_owned(), name: name.to_owned() })
}

async fn report(
    transaction: &Transaction<'_>,
    is_new: bool,
    grant_to: Option<&str>,
) -> Result<Report, InstallError> {
    let row = transaction
        .query_one(
            "select m.version, pg_catalog.pg_get_userbyid(p.proowner)::text, \
                    array(select w.schema::text || '.' || w.\"table\"::text \
                            from pgfeed.watched w order by w.id) \
               from pgfeed.meta m, pg_catalog.pg_proc p \
              where p.oid = 'pgfeed.capture()'::regprocedure",
            &[],
        )
        .await
        .map_err(InstallError::Look)?;
    Ok(Report {
        is_new,
        version: row.get(0),
        runs_as: row.get(1),
        watched: row.get(2),
        granted_to: grant_to.map(str::to_owned),
    })
}
