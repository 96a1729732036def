//! The owner's policy, as sessions ask for it.

use std::{collections::HashSet, sync::Arc};

use crate::{
    auth::claims::Claims,
    change::{Table, TableName},
    feed::{Grant, Hub},
    session::Access,
    settings::{Settings, access::Readers},
    source::listener::Undurable,
};

/// Judges by the settings.
pub struct SettingsAccess {
    settings: Settings,
}

impl SettingsAccess {
    /// The policy of these settings.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl Access for SettingsAccess {
    fn grant(&self, table: &Table, claims: Option<&Claims>) -> Option<Grant> {
        let may = match &self.settings.access.default {
            Readers::Anyone => true,
            Readers::Authenticated => claims.is_some(),
            _ => false,
        };
        may.then(|| Grant::whole(table))
    }
}

/// Everything to everyone: for the owner at the terminal.
pub struct OwnerAccess;

impl Access for OwnerAccess {
    fn grant(&self, table: &Table, _: Option<&Claims>) -> Option<Grant> {
        Some(Grant::whole(table))
    }
}

/// Which tables' hand-written payloads are relayed.
pub fn undurable(settings: &Settings, hub: &Arc<Hub>) -> Undurable {
    let allowed: HashSet<TableName> = settings
        .tables
        .iter()
        .filter(|(_, policy)| policy.undurable)
        .map(|(name, _)| TableName::parse(name))
        .collect();
    let hub = Arc::clone(hub);
    Arc::new(move |name| {
        allowed.contains(name).then(|| hub.catalog().named(name).cloned()).flatten()
    })
}
