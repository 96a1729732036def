//! The settings: one TOML file, environment variables over it, checked at once.
//!
//! Plain values, read once at the start and handed to the rooms as one small struct each. Nothing
//! here opens a connection, reads the process's environment by itself, or changes later.
//! Secrets are in no `Debug`, no error and no printed settings.

pub mod access;
mod check;
mod defaults;
mod environment;
mod error;
mod keys;
mod load;
mod network;
mod placeholder;
mod print;
mod redact;
pub mod sections;
pub mod values;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, ffi::OsString, path::Path};

use serde::{Deserialize, Serialize};

pub use self::{
    access::{FeedDecl, FeedTable, Grant, Operation, Readers, TablePolicy},
    error::{Fault, Problem, SettingsError},
    load::Origins,
    sections::{Access, Auth, Database, KeySource, Limits, Log, LogFormat, Server, Telemetry},
    values::{ByteSize, Secret, Span},
};

/// Everything that can be set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    pub database: Database,
    pub server: Server,
    pub auth: Auth,
    pub access: Access,
    /// By the table's name as written; no two entries mean the same table.
    pub tables: BTreeMap<String, TablePolicy>,
    /// By the feed's name.
    pub feeds: BTreeMap<String, FeedDecl>,
    pub log: Log,
    pub limits: Limits,
    pub telemetry: Telemetry,
}

/// Settings that passed every check, and what should be told to the operator all the same.
#[derive(Debug)]
pub struct Loaded {
    pub settings: Settings,
    /// Sentences for the log, one WARN line each. No secret is in them.
    pub warnings: Vec<String>,
    /// Where each key was written, for faults that are found later.
    pub origins: Origins,
}

impl Settings {
    /// Reads the file, puts the environment over it and checks the result.
    ///
    /// From weak to strong: defaults, file, `DATABASE_URL`, `PGFEED__…`; and `PORT` replaces the
    /// port of `server.listen` wherever that came from, because a platform that sets it routes to
    /// no other. `judge` says what is wrong with values that are used elsewhere, by those who use
    /// them.
    pub fn load(
        config_file: Option<&Path>,
        environment: impl Iterator<Item = (OsString, OsString)>,
        judge: &dyn Fn(&Self) -> Vec<Fault>,
    ) -> Result<Loaded, SettingsError> {
        load::load(config_file, environment, judge)
    }

    /// The settings in force as TOML, without secrets. It can be read as a settings file again.
    pub fn to_toml_redacted(&self) -> String {
        print::to_toml(self)
    }
}
