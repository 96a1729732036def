//! Whether the settings fit the database: at the start, where it decides, and from then on, where
//! readiness tells it.
//!
//! A table that settings name must exist: its real name, spelt otherwise, would be under
//! `access.default`. One that exists and is not on the feed is told and waited for, since the
//! order of `pgfeed watch` and of the start is the operator's.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{sync::oneshot, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    auth::{Policy, feeds::Feeds},
    change::{Table, TableName},
    feed::{Catalog, Hub},
    http::ready::State,
    settings::Origins,
    source::{PgLog, inspect::Inspection},
};

/// How often the database is held against the settings again.
const EVERY: Duration = Duration::from_secs(2);

/// Settings that do not fit the database; the program ends with exit code 78.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct Unfit(pub Vec<String>);

impl Unfit {
    /// The same, each with the file or variable that its key is from.
    #[must_use]
    pub fn of(&self, origins: &Origins) -> Self {
        let told = |fault: &String| {
            let key = fault.split(": ").next().unwrap_or_default().replace('"', "");
            format!("{}: {fault}", origins.of(&key))
        };
        Self(self.0.iter().map(told).collect())
    }
}

/// The tables that settings name, and where.
pub fn named(policy: &Policy, feeds: &Feeds) -> BTreeMap<TableName, String> {
    let of_feeds = feeds.tables().map(|(key, name)| (name, key));
    let of_policy = policy.tables().map(|name| (name.clone(), format!("tables.{name}")));
    of_feeds.chain(of_policy).collect()
}

/// Why what settings say of a table does not fit it.
pub fn faults(policy: &Policy, feeds: &Feeds, table: &Table) -> Vec<String> {
    let of_policy = policy.faults(table).into_iter().map(|it| it.to_string());
    of_policy.chain(feeds.faults(table).into_iter().map(|it| it.to_string())).collect()
}

/// Holds the settings against the database. One for a gateway.
pub struct Fitness {
    policy: Arc<Policy>,
    feeds: Arc<Feeds>,
    log: Arc<PgLog>,
    hub: Arc<Hub>,
    /// As last seen.
    state: Mutex<State>,
    warned: Mutex<Vec<TableName>>,
}

impl Fitness {
    /// Nothing is looked at before [`Fitness::run`].
    pub fn new(policy: Arc<Policy>, feeds: Arc<Feeds>, log: Arc<PgLog>, hub: Arc<Hub>) -> Self {
        let (state, warned) = (Mutex::new(State::Unknown), Mutex::default());
        Self { policy, feeds, log, hub, state, warned }
    }

    /// What was seen last, for /readyz.
    pub fn state(&self) -> State {
        self.state.lock().expect("no holder of the state panics").clone()
    }

    /// Looks when the database is first reached, which `first_tx` hears, and again and again.
    pub async fn run(
        self: Arc<Self>,
        first_tx: oneshot::Sender<Result<(), Unfit>>,
        end: CancellationToken,
    ) {
        let work = async {
            super::build::reached(&self.hub).await;
            self.look_first(first_tx).await;
            loop {
                sleep(EVERY).await;
                self.look_again().await;
            }
        };
        tokio::select! {
            () = end.cancelled() => {}
            () = work => {}
        }
    }

    async fn look_first(&self, first_tx: oneshot::Sender<Result<(), Unfit>>) {
        let named = self.named();
        let names: Vec<TableName> = named.keys().cloned().collect();
        let inspection = loop {
            match self.log.inspect(&names).await {
                Ok(inspection) => break inspection,
                Err(error) => tracing::warn!(%error, "The tables cannot be looked at yet."),
            }
            sleep(EVERY).await;
        };
        let catalog = self.hub.catalog();
        let faults = self.faults(&catalog, &named, &inspection);
        self.warn_unwatched(&catalog, &inspection);
        let verdict = if faults.is_empty() {
            self.set(&inspection.leaks);
            Ok(())
        } else {
            Err(Unfit(faults))
        };
        // Whoever starts the gateway may have been told to end meanwhile.
        drop(first_tx.send(verdict));
    }

    async fn look_again(&self) {
        let named = self.named();
        let names: Vec<TableName> = named.keys().cloned().collect();
        // A database that is away is another reason, which readiness has already.
        let Ok(inspection) = self.log.inspect(&names).await else { return };
        let catalog = self.hub.catalog();
        let mut faults = self.faults(&catalog, &named, &inspection);
        self.warn_unwatched(&catalog, &inspection);
        faults.extend(inspection.leaks);
        self.set(&faults);
    }

    fn named(&self) -> BTreeMap<TableName, String> {
        named(&self.policy, &self.feeds)
    }

    fn faults(
        &self,
        catalog: &Catalog,
        named: &BTreeMap<TableName, String>,
        inspection: &Inspection,
    ) -> Vec<String> {
        let key = |name: &TableName| named.get(name).cloned().unwrap_or_default();
        let missing = |name: &TableName| format!("{}: there is no table {name}", key(name));
        let mut faults: Vec<String> = inspection.missing.iter().map(missing).collect();
        for table in catalog.tables() {
            faults.extend(self::faults(&self.policy, &self.feeds, table));
        }
        faults.sort();
        faults
    }

    /// Tells once of each table that exists and is not on the feed.
    fn warn_unwatched(&self, catalog: &Catalog, inspection: &Inspection) {
        let mut warned = self.warned.lock().expect("no holder of the list panics");
        warned.retain(|name| catalog.named(name).is_none());
        for (table, key) in self.named() {
            let is_known = catalog.named(&table).is_some() || inspection.missing.contains(&table);
            if !is_known && !warned.contains(&table) {
                tracing::warn!(%table, key, "Settings name a table that is not on the feed: \
                    `pgfeed watch` puts it there.");
                warned.push(table);
            }
        }
    }

    fn set(&self, faults: &[String]) {
        let now = if faults.is_empty() { State::Fit } else { State::Unfit(faults.join("; ")) };
        let mut state = self.state.lock().expect("no holder of the state panics");
        if let State::Unfit(fault) = &now
            && now != *state
        {
            tracing::error!(fault, "The settings or the triggers do not fit the tables.");
        }
        *state = now;
    }
}
