//! One struct for each section of the settings that is a plain list of keys.
//!
//! The rooms take the struct that is theirs, by value. What a key means, its unit and its default
//! are told in `docs/settings.md`; the defaults themselves stand in `defaults.rs`.

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    access::Readers,
    values::{ByteSize, Secret, Span},
};

/// `[database]`: where PostgreSQL is and how it is used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// A connection string in libpq's words. Empty: libpq's defaults and `PG*` variables.
    pub url: Secret,
    pub pool_size: usize,
    pub poll_ms: u64,
    pub query_timeout_ms: u64,
    pub heartbeat_ms: u64,
}

/// `[server]`: the listening side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    #[serde(deserialize_with = "super::network::listen_address")]
    pub listen: SocketAddr,
    /// `None`: metrics, readiness and console are served on `listen`.
    #[serde(deserialize_with = "super::network::optional_listen_address")]
    pub admin_listen: Option<SocketAddr>,
    pub allowed_origins: Vec<String>,
    pub trusted_proxies: Vec<String>,
    pub heartbeat_ms: u64,
    pub ready_lag_max_ms: u64,
    pub drain_ms: u64,
    pub retry_spread_ms: u64,
    pub console: bool,
}

/// `[auth]`: how tokens are checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    pub jwt_secret: Secret,
    pub jwt_public_key_file: PathBuf,
    pub jwks_url: String,
    pub jwks_file: PathBuf,
    pub jwks_refetch_min_ms: u64,
    pub issuer: String,
    pub audience: String,
    pub role_claim: String,
    pub allow_unset: bool,
}

/// The one place that token keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// HS256 with this secret.
    Secret(Secret),
    /// A PEM file; the key's type fixes the algorithm.
    PublicKeyFile(PathBuf),
    /// A key set fetched over HTTPS.
    JwksUrl(String),
    /// A key set in a file.
    JwksFile(PathBuf),
}

impl Auth {
    /// Every key source that is written down. Settings that passed have at most one.
    pub(super) fn key_sources(&self) -> Vec<KeySource> {
        let mut found = Vec::new();
        if !self.jwt_secret.is_empty() {
            found.push(KeySource::Secret(self.jwt_secret.clone()));
        }
        if !self.jwt_public_key_file.as_os_str().is_empty() {
            found.push(KeySource::PublicKeyFile(self.jwt_public_key_file.clone()));
        }
        if !self.jwks_url.is_empty() {
            found.push(KeySource::JwksUrl(self.jwks_url.clone()));
        }
        if !self.jwks_file.as_os_str().is_empty() {
            found.push(KeySource::JwksFile(self.jwks_file.clone()));
        }
        found
    }

    /// Where the key is; `None` means that every token is refused.
    pub fn key_source(&self) -> Option<KeySource> {
        self.key_sources().into_iter().next()
    }
}

/// `[access]`: what holds for watched tables that no `[tables]` entry names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Access {
    pub default: Readers,
}

/// `[log]`: how long and how much of the change log is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    pub retention: Span,
    pub size_max: ByteSize,
    pub row_bytes_max: ByteSize,
    pub tail_bytes_max: ByteSize,
}

/// `[limits]`: what a stranger may use up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    pub connections_max: usize,
    pub connections_per_ip_max: usize,
    pub connections_per_subject_max: usize,
    pub subscriptions_per_connection_max: usize,
    pub scanned_terms_per_connection_max: usize,
    pub indexed_values_per_connection_max: usize,
    pub message_bytes_max: usize,
    pub messages_per_second_max: u32,
    pub client_errors_max: u32,
    pub queue_bytes_max: usize,
    pub filter_bytes_max: usize,
    pub filter_depth_max: usize,
    pub snapshots_max: usize,
    pub handshake_timeout_ms: u64,
    pub stall_timeout_ms: u64,
}

/// `[telemetry]`: what the gateway says about itself on standard error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// Directives such as `info` or `pgfeed=debug,warn`.
    pub level: String,
    pub format: LogFormat,
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}
