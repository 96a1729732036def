//! Connecting to PostgreSQL in the words of libpq.
//!
//! What works with `psql` works here: URL or `key=value`, `PG*` variables, services, password
//! files, several hosts, and `sslmode` with libpq's meaning of each mode. The driver knows some of
//! these words, means others differently, and refuses the rest, so they are read here and the
//! driver gets values. The password is in no error and in no `Debug`.

mod dial;
mod endpoints;
mod error;
mod files;
mod tls;
mod words;

#[cfg(test)]
mod tests;

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use tokio_postgres::{Client, Socket, config::SslMode, tls::MakeTlsConnect};
use tokio_postgres_rustls::MakeRustlsConnect;

pub use self::error::ConnectError;
use self::{
    dial::{Dial, Wanted},
    endpoints::{choose, connect_timeout, endpoints},
    files::in_home,
    tls::{Check, Roots, Tls},
    words::Words,
};

/// What drives a client: whoever called `connect` polls it, with `poll_message` to hear
/// notifications, and drops it to end the session.
pub type Connection =
    tokio_postgres::Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// How long a reader waits for a free connection of the pool.
const POOL_WAIT: Duration = Duration::from_secs(5);

/// A database that can be connected to. Cheap to clone.
#[derive(Clone)]
pub struct Target {
    dial: Arc<Dial>,
    warnings: Arc<[String]>,
}

impl Target {
    /// Reads a connection string, and what environment and files add to it.
    ///
    /// From weak to strong: defaults, `PG*` variables, service, string. Files are read now, so a
    /// mistake in them is told at the start and not at a reconnect at night.
    pub fn parse(
        url: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConnectError> {
        let mut words = Words::parse(url)?;
        let general = Words::from_environment(environment)?;
        if let Some(name) = words.get("service").or_else(|| general.get("service")) {
            let name = name.to_owned();
            words.fill_from(files::service(&name, environment)?);
        }
        words.fill_from(general);
        let (modes, tls) = tls(&words, environment)?;
        let (endpoints, warnings) = endpoints(&words, &modes, environment)?;
        let wanted = wanted(&words, endpoints.len())?;
        let is_random =
            choose(&words, "load_balance_hosts", &[("disable", false), ("random", true)])?;
        let limit = connect_timeout(&words)?;
        let dial = Arc::new(Dial { endpoints, wanted, is_random, limit, tls });
        Ok(Self { dial, warnings: warnings.into() })
    }

    /// What should be told to the operator: a password file that was not used, and why.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Connects to the first server that will have us.
    ///
    /// `options` are settings of the session such as `statement_timeout`. They are sent at the
    /// start, so that they outlive a `RESET ALL`.
    pub async fn connect(
        &self,
        options: &[(&str, &str)],
    ) -> Result<(Client, Connection), ConnectError> {
        let dial = self.dial.with_options(options);
        let refused = |source| ConnectError::Refused { server: dial.servers(), source };
        let Some(limit) = dial.limit_in_all() else {
            return dial.connect().await.map_err(refused);
        };
        match tokio::time::timeout(limit, dial.connect()).await {
            Ok(result) => result.map_err(refused),
            Err(_elapsed) => Err(ConnectError::TimedOut { server: dial.servers(), after: limit }),
        }
    }

    /// A pool of at most `size` connections; none is made before it is needed.
    ///
    /// A connection is handed on as it is left, with no query in between: whoever uses one sets
    /// things with `SET LOCAL` in a transaction, never for the session.
    pub fn pool(&self, size: usize, options: &[(&str, &str)]) -> Pool {
        let dial = self.dial.with_options(options);
        let limit = dial.limit_in_all();
        let manager = Manager::from_connect(
            tokio_postgres::Config::new(),
            dial,
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        Pool::builder(manager)
            .max_size(size)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(POOL_WAIT))
            .create_timeout(limit)
            .recycle_timeout(limit)
            .build()
            .expect("a pool with a runtime can have time limits")
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.dial.servers())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

fn wanted(words: &Words, hosts: usize) -> Result<Wanted, ConnectError> {
    // Positions in the log are never taken on a standby; where there is a choice of servers,
    // the one that can serve is meant.
    if hosts > 1 && words.get("target_session_attrs").is_none() {
        return Ok(Wanted::Primary);
    }
    let choices =
        [("any", Wanted::Any), ("read-write", Wanted::ReadWrite), ("primary", Wanted::Primary)];
    choose(words, "target_session_attrs", &choices)
}

/// The attempts of each server and how TLS is set up for them.
fn tls(
    words: &Words,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<(Vec<SslMode>, MakeRustlsConnect), ConnectError> {
    let file = |word: &str, default: &str| match words.get(word) {
        Some(path) => Some(PathBuf::from(path)),
        None => in_home(environment, default).filter(|it| it.is_file()),
    };
    let is_system = words.get("sslrootcert") == Some("system");
    let root = if is_system { None } else { file("sslrootcert", ".postgresql/root.crt") };
    let mode = words.get("sslmode").unwrap_or(if is_system { "verify-full" } else { "prefer" });
    let unverified = if root.is_some() { Check::Chain } else { Check::Nothing };
    let (modes, check) = match mode {
        "disable" => (vec![SslMode::Disable], Check::Nothing),
        "allow" => (vec![SslMode::Disable, SslMode::Require], unverified),
        "prefer" => (vec![SslMode::Prefer, SslMode::Disable], unverified),
        "require" => (vec![SslMode::Require], unverified),
        "verify-ca" => (vec![SslMode::Require], Check::Chain),
        "verify-full" => (vec![SslMode::Require], Check::ChainAndName),
        _ => {
            let reason = format!(
                "is `{mode}`, none of disable, allow, prefer, require, verify-ca, verify-full"
            );
            return Err(ConnectError::word("sslmode", reason));
        }
    };
    if is_system && check != Check::ChainAndName {
        // Anybody can have a certificate that the system trusts, in their own name.
        let reason = "is `system`, which needs sslmode=verify-full";
        return Err(ConnectError::word("sslrootcert", reason));
    }
    let roots = match &root {
        Some(path) => Roots::File(path),
        None if check == Check::ChainAndName => Roots::System,
        None if check == Check::Chain => {
            return Err(ConnectError::word("sslrootcert", "is needed for sslmode=verify-ca"));
        }
        None => Roots::None,
    };
    let is_direct = words.get("sslnegotiation") == Some("direct");
    if is_direct && modes != [SslMode::Require] {
        let reason = "is `direct`, which needs sslmode=require or stronger";
        return Err(ConnectError::word("sslnegotiation", reason));
    }
    let certificate = file("sslcert", ".postgresql/postgresql.crt");
    let key = file("sslkey", ".postgresql/postgresql.key");
    let client = certificate.as_deref().zip(key.as_deref());
    let versions = [("TLSv1.2", false), ("TLSv1.3", true)];
    let is_13_only = choose(words, "ssl_min_protocol_version", &versions)?;
    let tls = Tls { check, roots, client, is_13_only, is_direct };
    Ok((modes, tls.connector()?))
}
