//! What must hold of the settings before anything is started.
//!
//! Every fault is collected, so that an operator mends a file in one go. What needs the database
//! (do the columns exist, is the primary key among them) is checked when it is first reached.

mod access;

use super::{Fault, KeySource, Settings, network::origin_fault};

const DAY_MS: u64 = 86_400_000;

/// The list that the checks write to.
#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, key: impl Into<String>, reason: impl Into<String>) {
        self.0.push(Fault { key: key.into(), reason: reason.into() });
    }

    fn within(&mut self, key: &str, number: u64, (low, high): (u64, u64)) {
        if number < low || number > high {
            self.add(key, format!("{number} is not between {low} and {high}"));
        }
    }
}

/// Everything that is wrong.
pub(super) fn faults(settings: &Settings) -> Vec<Fault> {
    let mut faults = Faults::default();
    check_ranges(settings, &mut faults);
    check_server(settings, &mut faults);
    check_auth(settings, &mut faults);
    access::check_tables(settings, &mut faults);
    access::check_feeds(settings, &mut faults);
    faults.0
}

/// What is allowed, and should be told all the same.
pub(super) fn warnings(settings: &Settings) -> Vec<String> {
    let mut warnings = Vec::new();
    if settings.auth.key_source().is_none() && !settings.server.listen.ip().is_loopback() {
        warnings.push(format!(
            "no token key is set and {} can be reached from other machines: \
             everyone reads what [access] and [tables] give to anyone",
            settings.server.listen
        ));
    }
    if settings.server.allowed_origins.iter().any(|it| it == "*") {
        warnings.push("server.allowed_origins has \"*\": pages of every site may connect".into());
    }
    warnings
}

fn check_ranges(settings: &Settings, faults: &mut Faults) {
    let Settings { database, server, auth, log, limits, .. } = settings;
    let size = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let count = (1, 10_000_000);
    let wait = (1, DAY_MS);
    let bytes = (512, 1 << 30);
    let retention_ms = u64::try_from(log.retention.0.as_millis()).unwrap_or(u64::MAX);
    for (key, number, range) in [
        ("database.pool_size", size(database.pool_size), (1, 1_000)),
        ("database.poll_ms", database.poll_ms, (1, 60_000)),
        ("database.query_timeout_ms", database.query_timeout_ms, wait),
        ("database.heartbeat_ms", database.heartbeat_ms, (10, 60_000)),
        ("server.heartbeat_ms", server.heartbeat_ms, (10, 600_000)),
        ("server.ready_lag_max_ms", server.ready_lag_max_ms, wait),
        ("server.drain_ms", server.drain_ms, (0, DAY_MS)),
        ("server.retry_spread_ms", server.retry_spread_ms, (0, DAY_MS)),
        // A set is read again after five minutes whatever tokens ask for.
        ("auth.jwks_refetch_min_ms", auth.jwks_refetch_min_ms, (100, 300_000)),
        ("log.retention", retention_ms, (1_000, 3_650 * DAY_MS)),
        ("log.size_max", log.size_max.0, (1 << 20, 1 << 50)),
        // PostgreSQL makes no JSON text above 256 MB.
        ("log.row_bytes_max", log.row_bytes_max.0, (1_024, 256 << 20)),
        ("log.tail_bytes_max", log.tail_bytes_max.0, (1_024, 1 << 40)),
        ("limits.connections_max", size(limits.connections_max), count),
        ("limits.connections_per_ip_max", size(limits.connections_per_ip_max), count),
        ("limits.connections_per_subject_max", size(limits.connections_per_subject_max), count),
        (
            "limits.subscriptions_per_connection_max",
            size(limits.subscriptions_per_connection_max),
            count,
        ),
        (
            "limits.scanned_terms_per_connection_max",
            size(limits.scanned_terms_per_connection_max),
            count,
        ),
        (
            "limits.indexed_values_per_connection_max",
            size(limits.indexed_values_per_connection_max),
            count,
        ),
        ("limits.message_bytes_max", size(limits.message_bytes_max), (256, 1 << 30)),
        ("limits.messages_per_second_max", u64::from(limits.messages_per_second_max), count),
        ("limits.client_errors_max", u64::from(limits.client_errors_max), count),
        ("limits.queue_bytes_max", size(limits.queue_bytes_max), bytes),
        ("limits.filter_bytes_max", size(limits.filter_bytes_max), (16, 1 << 20)),
        ("limits.filter_depth_max", size(limits.filter_depth_max), (1, 100)),
        ("limits.snapshots_max", size(limits.snapshots_max), (1, 1_000)),
        ("limits.handshake_timeout_ms", limits.handshake_timeout_ms, (10, 600_000)),
        ("limits.stall_timeout_ms", limits.stall_timeout_ms, (100, 3_600_000)),
    ] {
        faults.within(key, number, range);
    }
}

fn check_server(settings: &Settings, faults: &mut Faults) {
    let server = &settings.server;
    if let Some(admin) = server.admin_listen
        && admin.port() != 0
        && admin == server.listen
    {
        faults.add("server.admin_listen", "is the same address as server.listen");
    }
    for (at, origin) in server.allowed_origins.iter().enumerate() {
        if let Some(fault) = origin_fault(origin) {
            let key = format!("server.allowed_origins[{at}]");
            faults.add(key, format!("`{origin}` {fault}"));
        }
    }
    if settings.telemetry.level.trim().is_empty() {
        faults.add("telemetry.level", "is empty; \"off\" turns logging off");
    }
}

fn check_auth(settings: &Settings, faults: &mut Faults) {
    let auth = &settings.auth;
    let sources = auth.key_sources();
    if sources.len() > 1 {
        let names = sources.iter().map(source_name).collect::<Vec<_>>().join(" and ");
        faults.add("auth", format!("{names} are set; only one key source can be"));
    }
    if auth.role_claim.is_empty() || auth.role_claim.split('.').any(str::is_empty) {
        faults.add("auth.role_claim", "must name a claim, as role or app_metadata.role");
    }
    let listen = settings.server.listen;
    if sources.is_empty() && !listen.ip().is_loopback() && !auth.allow_unset {
        faults.add(
            "auth",
            format!(
                "no token key is set and server.listen is {listen}, which other machines reach: \
                 set auth.jwt_secret, jwt_public_key_file, jwks_url or jwks_file, \
                 or auth.allow_unset = true to serve without tokens"
            ),
        );
    }
}

fn source_name(source: &KeySource) -> &'static str {
    match source {
        KeySource::Secret(_) => "jwt_secret",
        KeySource::PublicKeyFile(_) => "jwt_public_key_file",
        KeySource::JwksUrl(_) => "jwks_url",
        KeySource::JwksFile(_) => "jwks_file",
    }
}
