//! From words to the servers to try, each with everything that one attempt needs.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio_postgres::{
    Config,
    config::{ChannelBinding, SslMode, SslNegotiation},
};

use super::{
    error::ConnectError,
    files::{Passwords, in_home},
    words::Words,
};

type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

const APPLICATION_NAME: &str = "pgfeed";
const CONNECT_TIMEOUT_S: u64 = 5;
const KEEPALIVES_IDLE_S: u64 = 10;
const KEEPALIVES_INTERVAL_S: u64 = 5;
const KEEPALIVES_COUNT: u32 = 3;
const TCP_USER_TIMEOUT_MS: u64 = 15_000;
/// Where the packaged servers of Debian and Red Hat have their socket; PostgreSQL's own is /tmp.
const SOCKET_FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// One server to try.
#[derive(Clone)]
pub(super) struct Endpoint {
    /// `host:port`, for people.
    pub(super) label: String,
    pub(super) config: Config,
    /// The attempts, in order; a later one is made where the one before it failed over TLS or
    /// over the server's rules about it.
    pub(super) modes: Vec<SslMode>,
}

/// The servers that the words name, in order, and warnings about what was left out.
pub(super) fn endpoints(
    words: &Words,
    modes: &[SslMode],
    environment: Environment<'_>,
) -> Result<(Vec<Endpoint>, Vec<String>), ConnectError> {
    let base = base(words, environment)?;
    let hosts = list(words.get("host"));
    let addresses = list(words.get("hostaddr"));
    let count = hosts.len().max(addresses.len()).max(1);
    if !hosts.is_empty() && !addresses.is_empty() && hosts.len() != addresses.len() {
        let reason = format!("has {} entries where host has {}", addresses.len(), hosts.len());
        return Err(ConnectError::word("hostaddr", reason));
    }
    let ports = ports(words, count)?;
    let passfile = words.get("passfile").map(PathBuf::from);
    let passwords = match passfile.or_else(|| in_home(environment, ".pgpass")) {
        Some(path) if words.get("password").is_none() => Passwords::read(&path),
        _ => Passwords::read(Path::new("")),
    };
    let entry = |list: &[&str], at: usize| {
        list.get(at).filter(|it| !it.is_empty()).map(|&it| it.to_owned())
    };
    let mut found = Vec::new();
    for (at, &port) in ports.iter().enumerate() {
        let address = Address { host: entry(&hosts, at), number: entry(&addresses, at), port };
        found.push(address.endpoint(&base, modes, &passwords)?);
    }
    Ok((found, passwords.warning.into_iter().collect()))
}

struct Address {
    host: Option<String>,
    number: Option<String>,
    port: u16,
}

impl Address {
    fn endpoint(
        self,
        base: &Config,
        modes: &[SslMode],
        passwords: &Passwords,
    ) -> Result<Endpoint, ConnectError> {
        let mut config = base.clone();
        // A server that is known by its number alone is also called so.
        let name = self.host.or_else(|| self.number.clone()).unwrap_or_else(socket_folder);
        let is_socket = name.starts_with('/');
        let label = if is_socket || !name.contains(':') {
            format!("{name}:{}", self.port)
        } else {
            format!("[{name}]:{}", self.port)
        };
        config.port(self.port).host(&name);
        if let Some(number) = self.number {
            let wrong = || ConnectError::word("hostaddr", format!("`{number}` is no IP address"));
            config.hostaddr(number.parse::<IpAddr>().ok().ok_or_else(wrong)?);
        }
        if base.get_password().is_none() {
            let user = base.get_user().unwrap_or_default();
            let database = base.get_dbname().unwrap_or(user);
            let port = self.port.to_string();
            let is_default_socket = SOCKET_FOLDERS.contains(&name.as_str());
            let host = if is_default_socket { "localhost" } else { &name };
            if let Some(password) = passwords.find([host, &port, database, user]) {
                config.password(password);
            }
        }
        // There is no TLS over a socket of this machine, whatever the mode.
        let modes = if is_socket { vec![SslMode::Disable] } else { modes.to_vec() };
        Ok(Endpoint { label, config, modes })
    }
}

/// What holds for every server.
fn base(words: &Words, environment: Environment<'_>) -> Result<Config, ConnectError> {
    let mut config = Config::new();
    let system_user = || environment("USER").or_else(|| environment("LOGNAME"));
    if let Some(user) = words.get("user").map(str::to_owned).or_else(system_user) {
        config.user(user);
    }
    if let Some(database) = words.get("dbname") {
        config.dbname(database);
    }
    if let Some(password) = words.get("password") {
        config.password(password);
    }
    if let Some(options) = words.get("options") {
        config.options(options);
    }
    let fallback = words.get("fallback_application_name").unwrap_or(APPLICATION_NAME);
    config.application_name(words.get("application_name").unwrap_or(fallback));
    if let Some(limit) = connect_timeout(words)? {
        config.connect_timeout(limit);
    }
    let user_timeout_ms = number(words, "tcp_user_timeout")?.unwrap_or(TCP_USER_TIMEOUT_MS);
    if user_timeout_ms > 0 {
        config.tcp_user_timeout(Duration::from_millis(user_timeout_ms));
    }
    let seconds = |word, default| {
        Ok::<_, ConnectError>(Duration::from_secs(number(words, word)?.unwrap_or(default)))
    };
    config.keepalives(number(words, "keepalives")?.unwrap_or(1) != 0);
    config.keepalives_idle(seconds("keepalives_idle", KEEPALIVES_IDLE_S)?);
    config.keepalives_interval(seconds("keepalives_interval", KEEPALIVES_INTERVAL_S)?);
    let count = number(words, "keepalives_count")?;
    config.keepalives_retries(
        count.and_then(|it| u32::try_from(it).ok()).unwrap_or(KEEPALIVES_COUNT),
    );
    config.channel_binding(choose(
        words,
        "channel_binding",
        &[
            ("prefer", ChannelBinding::Prefer),
            ("disable", ChannelBinding::Disable),
            ("require", ChannelBinding::Require),
        ],
    )?);
    config.ssl_negotiation(choose(
        words,
        "sslnegotiation",
        &[("postgres", SslNegotiation::Postgres), ("direct", SslNegotiation::Direct)],
    )?);
    Ok(config)
}

/// The limit of one attempt; `None` is no limit.
pub(super) fn connect_timeout(words: &Words) -> Result<Option<Duration>, ConnectError> {
    let seconds = number(words, "connect_timeout")?.unwrap_or(CONNECT_TIMEOUT_S);
    Ok((seconds > 0).then(|| Duration::from_secs(seconds)))
}

/// The value of a word that is one of a few; the first where it is not set.
pub(super) fn choose<T: Copy>(
    words: &Words,
    word: &str,
    choices: &[(&str, T)],
) -> Result<T, ConnectError> {
    let wanted = words.get(word).unwrap_or(choices[0].0);
    let found = choices.iter().find(|(name, _)| *name == wanted);
    found.map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        ConnectError::word(word, format!("is `{wanted}`, none of {}", names.join(", ")))
    })
}

fn number(words: &Words, word: &str) -> Result<Option<u64>, ConnectError> {
    let Some(text) = words.get(word) else { return Ok(None) };
    // Negative numbers mean the default, as in libpq.
    let number = text.trim().parse::<i64>().ok();
    let number = number.ok_or_else(|| ConnectError::word(word, "is not a whole number"))?;
    Ok(u64::try_from(number).ok())
}

fn ports(words: &Words, count: usize) -> Result<Vec<u16>, ConnectError> {
    let written = list(words.get("port"));
    if written.len() > 1 && written.len() != count {
        let reason = format!("has {} entries for {count} hosts", written.len());
        return Err(ConnectError::word("port", reason));
    }
    let port = |at: usize| match written.get(at).or_else(|| written.first()) {
        None | Some(&"") => Ok(5432),
        // The text is not shown: in a malformed URL it may be the start of a password.
        Some(text) => text
            .parse::<u16>()
            .ok()
            .filter(|&it| it != 0)
            .ok_or_else(|| ConnectError::word("port", "is not a number from 1 to 65535")),
    };
    (0..count).map(port).collect()
}

fn list(text: Option<&str>) -> Vec<&str> {
    text.map(|it| it.split(',').collect()).unwrap_or_default()
}

fn socket_folder() -> String {
    let exists = |it: &&&str| Path::new(it).is_dir();
    (*SOCKET_FOLDERS.iter().find(exists).unwrap_or(&"/tmp")).to_owned()
}
