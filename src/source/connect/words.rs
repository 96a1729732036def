//! The words of libpq: which there are, and how a connection string is taken apart into them.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;

use super::error::ConnectError;

/// A word, the environment variable that also sets it, and what it may be.
struct Word {
    name: &'static str,
    variable: &'static str,
    values: Values,
}

enum Values {
    /// Read by `target`.
    Used,
    /// Changes nothing here as long as it has one of these values.
    Inert(&'static [&'static str]),
    /// Cannot be done here, and leaving it out would mislead.
    Unsupported,
}

const fn used(name: &'static str, variable: &'static str) -> Word {
    Word { name, variable, values: Values::Used }
}

const fn inert(
    name: &'static str,
    variable: &'static str,
    values: &'static [&'static str],
) -> Word {
    Word { name, variable, values: Values::Inert(values) }
}

const fn unsupported(name: &'static str, variable: &'static str) -> Word {
    Word { name, variable, values: Values::Unsupported }
}

const WORDS: &[Word] = &[
    used("host", "PGHOST"),
    used("hostaddr", "PGHOSTADDR"),
    used("port", "PGPORT"),
    used("dbname", "PGDATABASE"),
    used("user", "PGUSER"),
    used("password", "PGPASSWORD"),
    used("passfile", "PGPASSFILE"),
    used("service", "PGSERVICE"),
    used("options", "PGOPTIONS"),
    used("application_name", "PGAPPNAME"),
    used("fallback_application_name", ""),
    used("connect_timeout", "PGCONNECT_TIMEOUT"),
    used("sslmode", "PGSSLMODE"),
    used("sslrootcert", "PGSSLROOTCERT"),
    used("sslcert", "PGSSLCERT"),
    used("sslkey", "PGSSLKEY"),
    used("sslnegotiation", "PGSSLNEGOTIATION"),
    used("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION"),
    used("channel_binding", "PGCHANNELBINDING"),
    used("target_session_attrs", "PGTARGETSESSIONATTRS"),
    used("load_balance_hosts", "PGLOADBALANCEHOSTS"),
    used("keepalives", ""),
    used("keepalives_idle", ""),
    used("keepalives_interval", ""),
    used("keepalives_count", ""),
    used("tcp_user_timeout", ""),
    inert("client_encoding", "PGCLIENTENCODING", &["auto", "UTF8", "utf8", "UTF-8", "utf-8"]),
    inert("gssencmode", "PGGSSENCMODE", &["disable", "prefer"]),
    inert("sslcompression", "PGSSLCOMPRESSION", &["0", "1"]),
    inert("sslsni", "PGSSLSNI", &["1"]),
    inert("sslcertmode", "PGSSLCERTMODE", &["allow"]),
    inert("replication", "", &["false", "off", "no", "0"]),
    unsupported("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION"),
    unsupported("sslpassword", ""),
    unsupported("sslcrl", "PGSSLCRL"),
    unsupported("sslcrldir", "PGSSLCRLDIR"),
    unsupported("requirepeer", "PGREQUIREPEER"),
    unsupported("require_auth", "PGREQUIREAUTH"),
    unsupported("krbsrvname", "PGKRBSRVNAME"),
    unsupported("gsslib", "PGGSSLIB"),
    unsupported("gssdelegation", "PGGSSDELEGATION"),
    unsupported("scram_client_key", ""),
    unsupported("scram_server_key", ""),
    unsupported("min_protocol_version", "PGMINPROTOCOLVERSION"),
    unsupported("max_protocol_version", "PGMAXPROTOCOLVERSION"),
    unsupported("oauth_issuer", ""),
    unsupported("oauth_client_id", ""),
    unsupported("oauth_client_secret", ""),
    unsupported("oauth_scope", ""),
];

/// Words with their values. An empty value counts as none, as in libpq.
#[derive(Clone, Default)]
pub(super) struct Words(BTreeMap<&'static str, String>);

impl Words {
    /// Takes a URL or `key=value` words apart.
    pub(super) fn parse(text: &str) -> Result<Self, ConnectError> {
        let scheme = ["postgresql://", "postgres://"].into_iter().find(|it| text.starts_with(it));
        let mut words = Self::default();
        match scheme {
            Some(scheme) => words.read_url(&text[scheme.len()..])?,
            None if text.contains("://") => {
                let reason = "must begin with postgres:// or postgresql://, or be key=value words";
                return Err(ConnectError::Form { reason });
            }
            None => words.read_pairs(text)?,
        }
        Ok(words)
    }

    /// The value of a word.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Sets a word, if there is such a word.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<(), ConnectError> {
        let Some(word) = WORDS.iter().find(|it| it.name == name) else {
            return Err(ConnectError::word(name, "is not known to libpq"));
        };
        match word.values {
            _ if value.is_empty() => {}
            Values::Used => {
                self.0.insert(word.name, value.to_owned());
            }
            Values::Inert(values) if values.contains(&value) => {}
            Values::Inert(values) => {
                let reason = format!("can only be {} here", values.join(" or "));
                return Err(ConnectError::word(name, reason));
            }
            Values::Unsupported => {
                return Err(ConnectError::word(name, "is known to libpq but not supported here"));
            }
        }
        Ok(())
    }

    /// Takes over what `weaker` has and these lack.
    pub(super) fn fill_from(&mut self, weaker: Self) {
        for (name, value) in weaker.0 {
            self.0.entry(name).or_insert(value);
        }
    }

    /// What the `PG…` variables say. Those that cannot be followed are refused like the word.
    pub(super) fn from_environment(
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConnectError> {
        let mut words = Self::default();
        for word in WORDS.iter().filter(|it| !it.variable.is_empty()) {
            if let Some(value) = environment(word.variable) {
                words.set(word.name, &value).map_err(|error| match error {
                    ConnectError::Word { reason, .. } => {
                        ConnectError::Word { word: word.variable.to_owned(), reason }
                    }
                    other => other,
                })?;
            }
        }
        Ok(words)
    }

    fn read_pairs(&mut self, text: &str) -> Result<(), ConnectError> {
        let mut chars = text.chars().peekable();
        loop {
            while chars.next_if(|c| c.is_whitespace()).is_some() {}
            if chars.peek().is_none() {
                return Ok(());
            }
            let mut name = String::new();
            while let Some(c) = chars.next_if(|&c| c != '=' && !c.is_whitespace()) {
                name.push(c);
            }
            while chars.next_if(|c| c.is_whitespace()).is_some() {}
            if chars.next() != Some('=') {
                // The name is not shown: it may be a piece of a password.
                let reason = "must be a URL, or words as key=value, values with spaces in quotes";
                return Err(ConnectError::Form { reason });
            }
            while chars.next_if(|c| c.is_whitespace()).is_some() {}
            let value = read_value(&mut chars)?;
            self.set(&name, &value)?;
        }
    }

    fn read_url(&mut self, rest: &str) -> Result<(), ConnectError> {
        let (user, rest) = split_user(rest);
        if let Some(user) = user {
            let (name, password) = user.split_once(':').unwrap_or((user, ""));
            self.set("user", &decode(name)?)?;
            self.set("password", &decode(password)?)?;
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (hosts, tail) = rest.split_at(end);
        let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
        if path.contains('@') {
            let reason =
                "has an @ after a /; in a user name or password write %2F for /, %40 for @";
            return Err(ConnectError::Form { reason });
        }
        self.read_hosts(hosts)?;
        self.set("dbname", &decode(path.strip_prefix('/').unwrap_or(path))?)?;
        for pair in query.split('&').filter(|it| !it.is_empty()) {
            let Some((name, value)) = pair.split_once('=') else {
                let reason = "has a parameter without a value after the question mark";
                return Err(ConnectError::Form { reason });
            };
            match (decode(name)?.as_str(), decode(value)?.as_str()) {
                // JDBC's word, which libpq takes in URLs.
                ("ssl", "true") => self.set("sslmode", "require")?,
                (name, value) => self.set(name, value)?,
            }
        }
        Ok(())
    }

    fn read_hosts(&mut self, text: &str) -> Result<(), ConnectError> {
        let mut hosts = Vec::new();
        let mut ports = Vec::new();
        for host in text.split(',') {
            let (host, port) = match host.strip_prefix('[') {
                Some(v6) => {
                    let reason = "has a [ without a ]";
                    let (host, port) = v6.split_once(']').ok_or(ConnectError::Form { reason })?;
                    (host, port.strip_prefix(':').unwrap_or(port))
                }
                None => host.split_once(':').unwrap_or((host, "")),
            };
            hosts.push(decode(host)?);
            ports.push(decode(port)?);
        }
        let join = |list: Vec<String>| {
            if list.iter().all(String::is_empty) { String::new() } else { list.join(",") }
        };
        self.set("host", &join(hosts))?;
        self.set("port", &join(ports))
    }
}

/// The user part before an @, and what follows.
///
/// As in libpq, an @ before the first slash ends it, even after a question mark; and of several
/// before a question mark the last, so that an @ in a password does not make a host of its end.
fn split_user(text: &str) -> (Option<&str>, &str) {
    let before_path = &text[..text.find('/').unwrap_or(text.len())];
    let before_query = &before_path[..before_path.find('?').unwrap_or(before_path.len())];
    match before_query.rfind('@').or_else(|| before_path.find('@')) {
        Some(at) => (Some(&text[..at]), &text[at + 1..]),
        None => (None, text),
    }
}

fn read_value(
    chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
) -> Result<String, ConnectError> {
    let is_quoted = chars.next_if_eq(&'\'').is_some();
    let mut value = String::new();
    loop {
        match chars.next() {
            None if is_quoted => {
                return Err(ConnectError::Form { reason: "has a quote that is not closed" });
            }
            None => return Ok(value),
            Some('\'') if is_quoted => return Ok(value),
            Some(c) if !is_quoted && c.is_whitespace() => return Ok(value),
            Some('\\') => value.extend(chars.next()),
            Some(c) => value.push(c),
        }
    }
}

fn decode(text: &str) -> Result<String, ConnectError> {
    let is_sound = |at: usize| {
        text.as_bytes().get(at + 1..at + 3).is_some_and(|it| it.iter().all(u8::is_ascii_hexdigit))
    };
    let wrong = ConnectError::Form { reason: "has a % that is not followed by two hex digits" };
    if !text.match_indices('%').all(|(at, _)| is_sound(at)) {
        return Err(wrong);
    }
    let decoded = percent_decode_str(text).decode_utf8().ok();
    decoded.map(std::borrow::Cow::into_owned).ok_or(ConnectError::Form { reason: "is no UTF-8" })
}
