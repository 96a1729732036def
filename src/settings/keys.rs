//! Every key there is, so that variables, documents and tests share one list.

/// How the text of an environment variable becomes the key's value.
///
/// A guess by the look of the text would damage it (a password `0123` would become 123), so the
/// key decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Switch,
    /// `a,b` or a TOML list.
    List,
    /// A word, or a TOML list.
    WordOrList,
    /// TOML.
    Inline,
}

/// A key of a plain section.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) section: &'static str,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

impl Key {
    /// As it is named in messages: `section.name`.
    pub(super) fn path(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }

    /// The variable that sets it.
    #[cfg(test)]
    pub(super) fn variable(&self) -> String {
        let (section, name) = (self.section.to_uppercase(), self.name.to_uppercase());
        format!("PGFEED__{section}__{name}")
    }
}

const fn key(section: &'static str, name: &'static str, kind: Kind) -> Key {
    Key { section, name, kind }
}

/// The plain sections, in the order in which they are printed.
pub(super) const KEYS: &[Key] = &[
    key("database", "url", Kind::Text),
    key("database", "pool_size", Kind::Number),
    key("database", "poll_ms", Kind::Number),
    key("database", "query_timeout_ms", Kind::Number),
    key("database", "heartbeat_ms", Kind::Number),
    key("server", "listen", Kind::Text),
    key("server", "admin_listen", Kind::Text),
    key("server", "allowed_origins", Kind::List),
    key("server", "trusted_proxies", Kind::List),
    key("server", "heartbeat_ms", Kind::Number),
    key("server", "ready_lag_max_ms", Kind::Number),
    key("server", "drain_ms", Kind::Number),
    key("server", "retry_spread_ms", Kind::Number),
    key("server", "console", Kind::Switch),
    key("auth", "jwt_secret", Kind::Text),
    key("auth", "jwt_public_key_file", Kind::Text),
    key("auth", "jwks_url", Kind::Text),
    key("auth", "jwks_file", Kind::Text),
    key("auth", "jwks_refetch_min_ms", Kind::Number),
    key("auth", "issuer", Kind::Text),
    key("auth", "audience", Kind::Text),
    key("auth", "role_claim", Kind::Text),
    key("auth", "allow_unset", Kind::Switch),
    key("access", "default", Kind::Text),
    key("log", "retention", Kind::Text),
    key("log", "size_max", Kind::Text),
    key("log", "row_bytes_max", Kind::Text),
    key("log", "tail_bytes_max", Kind::Text),
    key("limits", "connections_max", Kind::Number),
    key("limits", "connections_per_ip_max", Kind::Number),
    key("limits", "connections_per_subject_max", Kind::Number),
    key("limits", "subscriptions_per_connection_max", Kind::Number),
    key("limits", "scanned_terms_per_connection_max", Kind::Number),
    key("limits", "indexed_values_per_connection_max", Kind::Number),
    key("limits", "message_bytes_max", Kind::Number),
    key("limits", "messages_per_second_max", Kind::Number),
    key("limits", "client_errors_max", Kind::Number),
    key("limits", "queue_bytes_max", Kind::Number),
    key("limits", "filter_bytes_max", Kind::Number),
    key("limits", "filter_depth_max", Kind::Number),
    key("limits", "snapshots_max", Kind::Number),
    key("limits", "handshake_timeout_ms", Kind::Number),
    key("limits", "stall_timeout_ms", Kind::Number),
    key("telemetry", "level", Kind::Text),
    key("telemetry", "format", Kind::Text),
];

/// The keys of an entry of `[tables]`.
pub(super) const TABLE_KEYS: &[(&str, Kind)] = &[
    ("read", Kind::WordOrList),
    ("rows", Kind::Text),
    ("columns", Kind::List),
    ("undurable", Kind::Switch),
    ("grants", Kind::Inline),
];

/// The keys of an entry of `[feeds]`.
pub(super) const FEED_KEYS: &[(&str, Kind)] =
    &[("path", Kind::Text), ("require", Kind::Inline), ("tables", Kind::Inline)];

/// Keys whose value must be in no message.
pub(super) const SECRETS: &[&str] = &["database.url", "auth.jwt_secret"];
