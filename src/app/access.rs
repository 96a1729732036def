//! The owner's policy and declared feeds, made from the settings.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    auth::{
        claims::Claims,
        feeds::{self, FeedError, Feeds},
        policy::{self, Policy, PolicyError, PolicySettings, RuleSettings, TableSettings},
    },
    change::{Operation, Table},
    feed::{Grant, Hub},
    session::Access,
    settings::{
        FeedDecl, Settings,
        access::{self, Readers, TablePolicy},
    },
    source::listener::Undurable,
};

/// The policy of these settings, before it is held against a database.
pub fn policy(settings: &Settings) -> Result<Policy, PolicyError> {
    let tables = settings.tables.iter().map(|(name, it)| (name.clone(), table(it)));
    Policy::new(PolicySettings {
        default: readers(&settings.access.default),
        tables: tables.collect(),
    })
}

/// The policy of one table alone.
pub fn table_policy(name: &str, entry: &TablePolicy) -> Result<Policy, PolicyError> {
    let tables = BTreeMap::from([(name.to_owned(), table(entry))]);
    Policy::new(PolicySettings { tables, ..PolicySettings::default() })
}

/// The declared feeds of these settings.
pub fn feeds(settings: &Settings) -> Result<Feeds, FeedError> {
    Feeds::new(settings.feeds.values().map(feed).collect())
}

/// One declared feed alone.
pub fn single_feed(written: &FeedDecl) -> Result<Feeds, FeedError> {
    Feeds::new(vec![feed(written)])
}

/// Everything to everyone: for the owner at the terminal.
pub struct OwnerAccess;

impl Access for OwnerAccess {
    fn grant(&self, table: &Table, _: Option<&Claims>) -> Option<Grant> {
        Some(Grant::whole(table))
    }
}

/// Which tables' hand-written payloads are relayed.
pub fn undurable(policy: Option<Arc<Policy>>, hub: &Arc<Hub>) -> Undurable {
    let hub = Arc::clone(hub);
    Arc::new(move |name| {
        let is_allowed = policy.as_ref().is_some_and(|policy| policy.is_undurable(name));
        is_allowed.then(|| hub.catalog().named(name).cloned()).flatten()
    })
}

/// The entry's own rule, if it says whom it is for, and its grants.
fn table(entry: &TablePolicy) -> TableSettings {
    let own = RuleSettings {
        place: String::new(),
        read: readers(&entry.read),
        rows: entry.rows.clone(),
        columns: entry.columns.clone(),
    };
    let grants = entry.grants.iter().enumerate().map(|(at, grant)| RuleSettings {
        place: format!("grants[{at}]"),
        read: readers(&grant.read),
        rows: grant.rows.clone(),
        columns: grant.columns.clone(),
    });
    TableSettings {
        rules: std::iter::once(own).chain(grants).collect(),
        undurable: entry.undurable,
    }
}

fn readers(written: &Readers) -> policy::Readers {
    match written {
        Readers::Nobody => policy::Readers::Nobody,
        Readers::Authenticated => policy::Readers::Authenticated,
        Readers::Anyone => policy::Readers::Anyone,
        Readers::Roles(roles) => policy::Readers::Roles(roles.clone()),
    }
}

fn feed(written: &FeedDecl) -> feeds::FeedSettings {
    let table = |it: &access::FeedTable| feeds::FeedTable {
        table: it.table.clone(),
        filter: it.filter.clone(),
        events: it.events.as_ref().map(|all| all.iter().copied().map(operation).collect()),
        columns: it.columns.clone(),
    };
    feeds::FeedSettings {
        name: written.name.clone(),
        path: written.path.clone(),
        require: written.require.clone(),
        tables: written.tables.iter().map(table).collect(),
    }
}

fn operation(written: access::Operation) -> Operation {
    match written {
        access::Operation::Insert => Operation::Insert,
        access::Operation::Update => Operation::Update,
        access::Operation::Delete => Operation::Delete,
        access::Operation::Truncate => Operation::Truncate,
    }
}
