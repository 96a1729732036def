//! What an administrator does to the feed in a database, on one connection.

use tokio_postgres::Client;

use super::{
    Target,
    connect::ConnectError,
    install::{self, InstallError, Report, WatchedTable},
    log::READ_COMMITTED,
};
use crate::tasks;

/// A connection of the database's owner, for one command.
pub struct Admin {
    client: Client,
}

/// Why a command on the database failed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// No connection.
    #[error("the database cannot be reached")]
    Connect(#[from] ConnectError),
    /// The feed could not be put in, changed or taken out.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// The feed's state could not be read.
    #[error("the feed cannot be looked at: is it installed here? run `pgfeed install`")]
    Status(#[source] tokio_postgres::Error),
}

/// One line of `pgfeed.status()`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub check: String,
    /// `ok`, `warn` or `fail`.
    pub status: String,
    /// What was found.
    pub detail: String,
    /// What to do about it.
    pub mend: Option<String>,
}

impl Admin {
    /// Connects with the rights of the connection string.
    pub async fn connect(target: &Target) -> Result<Self, AdminError> {
        let (client, connection) = target.connect(&[READ_COMMITTED]).await?;
        // It ends with the client.
        drop(tasks::spawn("admin connection", async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "The command's connection ended.");
            }
        }));
        Ok(Self { client })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// See [`install::install`].
    pub async fn install(&mut self, grant_to: Option<&str>) -> Result<Report, AdminError> {
        Ok(install::install(&mut self.client, grant_to).await?)
    }

    /// See [`install::watch`].
    pub async fn watch(&mut self, tables: &[String]) -> Result<Vec<WatchedTable>, AdminError> {
        Ok(install::watch(&mut self.client, tables).await?)
    }

    /// See [`install::unwatch`].
    pub async fn unwatch(&mut self, tables: &[String]) -> Result<i32, AdminError> {
        Ok(install::unwatch(&mut self.client, tables).await?)
    }

    /// Makes the sample tables and puts them on the feed.
    pub async fn prepare_samples(&mut self) -> Result<(), AdminError> {
        install::make_samples(&mut self.client).await?;
        install::install(&mut self.client, None).await?;
        let tables: Vec<String> =
            install::SAMPLE_TABLES.iter().map(|table| (*table).to_owned()).collect();
        install::watch(&mut self.client, &tables).await?;
        Ok(())
    }

    /// How the feed is.
    pub async fn status(&self) -> Result<Vec<Finding>, AdminError> {
        super::doctor::status(&self.client).await.map_err(AdminError::Status)
    }
}
