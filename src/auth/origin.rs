//! Which web pages may open a connection: the gateway's own origin and those that are listed.
//!
//! A browser lets any page open a WebSocket to any host and tells only the `Origin`. What sends
//! none is no browser page, and is judged by its token alone.

use thiserror::Error;

/// An entry of the list that is no origin.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{entry}` is no origin: {reason}")]
pub struct BadOrigin {
    /// As written.
    pub entry: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// The origins that may connect. Made from the settings once, at the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    any: bool,
    listed: Vec<String>,
}

impl Origins {
    /// Takes origins as browsers write them (`https://app.example`), or `*` for all.
    pub fn new(entries: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, BadOrigin> {
        let mut origins = Self::default();
        for entry in entries {
            let entry = entry.as_ref();
            let bad = |reason| BadOrigin { entry: entry.to_owned(), reason };
            if entry == "*" {
                origins.any = true;
                continue;
            }
            let (scheme, authority) = split(entry).map_err(bad)?;
            origins.listed.push(format!("{scheme}://{authority}"));
        }
        Ok(origins)
    }

    /// Whether a request with these `Origin` and `Host` headers may be served.
    ///
    /// The scheme of the own origin is not compared: behind a proxy that ends TLS the gateway
    /// sees http where the page sees https.
    pub fn admits(&self, origins: &[&str], hosts: &[&str]) -> bool {
        let origin = match origins {
            [] => return true,
            [origin] => *origin,
            // Two headers let a proxy and the gateway see different ones.
            _ => return false,
        };
        if self.any {
            return true;
        }
        let Ok((scheme, authority)) = split(origin) else { return false };
        if self.listed.contains(&format!("{scheme}://{authority}")) {
            return true;
        }
        match hosts {
            [host] => without_port(&scheme, &host.to_ascii_lowercase()) == authority,
            _ => false,
        }
    }
}

/// Scheme and authority in small letters, without the scheme's own port.
fn split(origin: &str) -> Result<(String, String), &'static str> {
    let lower = origin.to_ascii_lowercase();
    let (scheme, authority) = lower.split_once("://").ok_or("it has no scheme")?;
    if scheme.is_empty() || authority.is_empty() {
        return Err("it has no scheme or no host");
    }
    if authority.contains(['/', '?', '#', '@', '*', '\\', ' ', ',']) {
        return Err("it is not a scheme, a host and perhaps a port alone");
    }
    Ok((scheme.to_owned(), without_port(scheme, authority).to_owned()))
}

fn without_port<'a>(scheme: &str, authority: &'a str) -> &'a str {
    let port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => return authority,
    };
    authority.strip_suffix(port).unwrap_or(authority)
}

#[cfg(test)]
mod tests {
    use super::Origins;

    fn origins(entries: &[&str]) -> Origins {
        Origins::new(entries.iter().copied()).expect("origins")
    }

    #[test]
    fn the_own_origin_may_connect_and_no_other() {
        let own = origins(&[]);
        for (origin, host) in [
            ("http://app.example", "app.example"),
            ("https://app.example", "app.example"),
            ("https://app.example", "app.example:443"),
            ("https://app.example:443", "APP.example"),
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://[::1]:8080", "[::1]:8080"),
        ] {
            assert!(own.admits(&[origin], &[host]), "{origin} {host}");
        }
        for (origin, host) in [
            ("https://evil.example", "app.example"),
            ("https://app.example.evil.example", "app.example"),
            ("https://evil-app.example", "app.example"),
            ("https://sub.app.example", "app.example"),
            ("http://app.example:8080", "app.example"),
            ("https://app.example", "app.example:80"),
            ("https://app.example@evil.example", "app.example"),
            ("https://evil.example/app.example", "app.example"),
            ("null", "null"),
            ("", ""),
            ("https://", ""),
            ("app.example", "app.example"),
            ("*", "app.example"),
        ] {
            assert!(!own.admits(&[origin], &[host]), "{origin} {host}");
        }
        assert!(own.admits(&[], &["app.example"]), "no browser page");
        assert!(!own.admits(&["http://a"], &[]));
        assert!(!own.admits(&["http://a"], &["a", "b"]));
        assert!(!own.admits(&["http://a"], &["b", "a"]));
        assert!(!own.admits(&["http://a", "http://b"], &["a"]));
    }

    #[test]
    fn a_listed_origin_may_connect_exactly_as_listed() {
        let listed = origins(&["https://App.example", "http://localhost:3000"]);
        for good in ["https://app.example", "https://app.example:443", "http://localhost:3000"] {
            assert!(listed.admits(&[good], &["gateway:8080"]), "{good}");
        }
        for bad in ["http://app.example", "https://localhost:3000", "http://localhost", "null"] {
            assert!(!listed.admits(&[bad], &["gateway:8080"]), "{bad}");
        }
        let any = origins(&["*"]);
        assert!(any.admits(&["https://evil.example"], &["gateway"]) && any.admits(&["null"], &[]));
    }

    #[test]
    fn an_entry_that_could_match_more_than_it_says_is_refused() {
        for bad in
            ["app.example", "https://*.example", "https://app.example/", "https://", "null", ""]
        {
            assert!(Origins::new([bad]).is_err(), "{bad}");
        }
    }
}
