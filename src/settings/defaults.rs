//! The default of every setting, in one place.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use super::{
    sections::{Auth, Database, Limits, Log, LogFormat, Server, Telemetry},
    values::{ByteSize, Secret, Span},
};

impl Default for Database {
    fn default() -> Self {
        Self {
            url: Secret::default(),
            pool_size: 8,
            poll_ms: 1_000,
            query_timeout_ms: 10_000,
            heartbeat_ms: 2_000,
        }
    }
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            admin_listen: None,
            allowed_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            heartbeat_ms: 15_000,
            ready_lag_max_ms: 8_000,
            drain_ms: 10_000,
            retry_spread_ms: 5_000,
            console: false,
        }
    }
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            jwt_secret: Secret::default(),
            jwt_public_key_file: PathBuf::new(),
            jwks_url: String::new(),
            jwks_file: PathBuf::new(),
            jwks_refetch_min_ms: 10_000,
            issuer: String::new(),
            audience: String::new(),
            role_claim: "role".to_owned(),
            allow_unset: false,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            retention: Span(Duration::from_hours(24)),
            size_max: ByteSize(4 << 30),
            row_bytes_max: ByteSize(64 << 20),
            tail_bytes_max: ByteSize(16 << 20),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 20_000,
            connections_per_ip_max: 200,
            connections_per_subject_max: 100,
            subscriptions_per_connection_max: 100,
            scanned_terms_per_connection_max: 200,
            indexed_values_per_connection_max: 10_000,
            message_bytes_max: 65_536,
            messages_per_second_max: 20,
            client_errors_max: 10,
            queue_bytes_max: 1_048_576,
            filter_bytes_max: 4_096,
            filter_depth_max: 8,
            snapshots_max: 4,
            handshake_timeout_ms: 5_000,
            stall_timeout_ms: 120_000,
        }
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
}
