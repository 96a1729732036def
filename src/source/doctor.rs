//! What is wrong with a database as the source of a feed, and what mends it.
//!
//! It asks step by step, from "can it be reached" to "is the log as large as it may be", and goes
//! on as far as it can: who has one fault has often two. It changes nothing.

mod place;
mod pooler;
mod reach;
mod rights;
mod triggers;

use std::time::Duration;

use tokio_postgres::{Client, Error};

pub use self::place::clock;
use super::{Target, admin::Finding, catalog};
use crate::{
    feed::{Catalog, LogError},
    source::error::{failed, tell},
    tasks,
};

/// What the settings expect of the log.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// How long a client may stay away and resume.
    pub retention: Duration,
    /// The log's size at most, in bytes.
    pub size_max: u64,
}

/// All that was found.
#[derive(Debug, Default)]
pub struct Examination {
    /// One or more for each check, with `ok` where nothing was found.
    pub findings: Vec<Finding>,
    /// The tables on the feed; none where the database could not be asked.
    pub catalog: Option<Catalog>,
}

impl Finding {
    /// Nothing is wrong.
    pub fn ok(check: &str, detail: impl Into<String>) -> Self {
        Self { check: check.to_owned(), status: "ok".to_owned(), detail: detail.into(), mend: None }
    }

    /// Works, but not as it should.
    pub fn warn(check: &str, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { status: "warn".to_owned(), mend: Some(mend.into()), ..Self::ok(check, detail) }
    }

    /// Does not work.
    pub fn fail(check: &str, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { status: "fail".to_owned(), ..Self::warn(check, detail, mend) }
    }

    /// Whether nothing is wrong.
    pub fn is_ok(&self) -> bool {
        self.status == "ok"
    }
}

/// Examines the database that `target` leads to, with the rights of its role.
pub async fn examine(target: &Target, expected: &Expected) -> Examination {
    let mut found = Examination::default();
    let client = match connect(target, &[]).await {
        Ok(client) => client,
        Err(why) => {
            let mend = "Check database.url (psql must connect with the same words), \
                        pg_hba.conf and the network between.";
            found.findings.push(Finding::fail("connection", why, mend));
            return found;
        }
    };
    found.findings.push(Finding::ok("connection", target.to_string()));
    if let Err(error) = ask(target, &client, expected, &mut found).await {
        let LogError { message, .. } = failed("examining", &error);
        let mend = "Run doctor as the role that serves, and as the owner of the database.";
        found.findings.push(Finding::fail("examination", message, mend));
    }
    found
}

async fn ask(
    target: &Target,
    client: &Client,
    expected: &Expected,
    found: &mut Examination,
) -> Result<(), Error> {
    let findings = &mut found.findings;
    findings.extend(place::examine(client).await?);
    findings.extend(pooler::examine(target).await);
    let is_installed = rights::is_installed(client).await?;
    if !is_installed {
        let mend = "pgfeed install";
        findings.push(Finding::fail("installed", "schema pgfeed is not in this database", mend));
        findings.extend(triggers::elsewhere(client, &[]).await?);
        return Ok(());
    }
    findings.push(Finding::ok("installed", "schema pgfeed is there"));
    let missing = rights::examine(client).await?;
    let may_ask = missing.is_none();
    findings.extend(missing);
    if !may_ask {
        return Ok(());
    }
    let unreadable = rights::examine_tables(client).await?;
    findings.push(
        unreadable
            .unwrap_or_else(|| Finding::ok("rights", "this role has what `pgfeed serve` needs")),
    );
    let catalog = catalog::read(client).await?;
    let watched: Vec<u32> = catalog.tables().map(|table| table.oid).collect();
    findings.push(triggers::any(client, &catalog).await?);
    findings.extend(triggers::elsewhere(client, &watched).await?);
    findings.extend(status(client).await?);
    findings.extend(reach::examine(client, expected).await?);
    found.catalog = Some(catalog);
    Ok(())
}

/// The findings of `pgfeed.status()`.
pub(super) async fn status(client: &Client) -> Result<Vec<Finding>, Error> {
    const STATUS: &str = "select \"check\", status, detail, mend from pgfeed.status()";
    let finding = |row: &tokio_postgres::Row| {
        Ok(Finding {
            check: row.try_get(0)?,
            status: row.try_get(1)?,
            detail: row.try_get(2)?,
            mend: row.try_get(3)?,
        })
    };
    client.query(STATUS, &[]).await?.iter().map(finding).collect()
}

/// A connection that ends with its client, or why there is none.
async fn connect(target: &Target, options: &[(&str, &str)]) -> Result<Client, String> {
    let (client, connection) = target.connect(options).await.map_err(|error| tell(&error))?;
    drop(tasks::spawn("doctor connection", async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "The doctor's connection ended.");
        }
    }));
    Ok(client)
}
