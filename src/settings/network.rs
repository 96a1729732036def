//! Addresses in the settings: where to listen, which origins may come.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Deserializer, de};

/// Reads `listen`: an address and a port, where `localhost` means 127.0.0.1.
pub(super) fn listen_address<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<SocketAddr, D::Error> {
    parse_listen(&String::deserialize(deserializer)?).map_err(de::Error::custom)
}

/// The same, where empty text means none.
pub(super) fn optional_listen_address<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    parse_listen(&text).map(Some).map_err(de::Error::custom)
}

fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    if let Some(port) = text.strip_prefix("localhost:").and_then(|port| port.parse().ok()) {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    let example = "127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080";
    let wrong = || format!("`{text}` is not an address with a port such as {example}");
    text.parse().ok().ok_or_else(wrong)
}

/// Says what is wrong with an entry of `allowed_origins`, if anything is.
///
/// A browser sends scheme, host and port in lower case, without path and without the scheme's own
/// port; anything else written here would never match, which would look like a refusal for no
/// reason.
pub(super) fn origin_fault(origin: &str) -> Option<&'static str> {
    if origin == "*" {
        return None;
    }
    let Some((scheme, authority)) = origin.split_once("://") else {
        return Some("needs a scheme, as in https://app.example");
    };
    if scheme.is_empty() || !scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    {
        return Some("needs a scheme, as in https://app.example");
    }
    if authority.contains(['/', '?', '#']) {
        return Some("must end after host and port, without slash or path");
    }
    if authority.contains(['*', '@', ',']) || authority.chars().any(char::is_whitespace) {
        return Some("must name one host; only \"*\" alone stands for every origin");
    }
    if origin.chars().any(|c| c.is_ascii_uppercase()) {
        return Some("must be in lower case, as browsers send it");
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    if host.is_empty() {
        return Some("names no host");
    }
    match (scheme, port) {
        ("http", Some("80")) | ("https", Some("443")) => {
            Some("must leave out the scheme's own port, as browsers do")
        }
        (_, Some(port)) if port.parse::<u16>().is_err() => Some("has a port that is no number"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_a_browser_sends_it() {
        for origin in
            ["*", "https://app.example", "http://localhost:3000", "http://[::1]:3000", "app://x"]
        {
            assert_eq!(origin_fault(origin), None, "{origin}");
        }
        for (origin, hint) in [
            ("app.example", "scheme"),
            ("https://app.example/", "slash"),
            ("https://*.example", "one host"),
            ("https://App.example", "lower case"),
            ("https://app.example:443", "own port"),
            ("https://app.example:x", "no number"),
            ("https://", "no host"),
        ] {
            let fault = origin_fault(origin).unwrap();
            assert!(fault.contains(hint), "{origin}: {fault}");
        }
    }
}
