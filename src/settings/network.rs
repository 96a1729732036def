//! Addresses in the settings: where to listen, which networks are trusted, which origins may come.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An address, or a range of addresses as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Whether `address` lies in it. An IPv4 address that came in over an IPv6 socket counts as
    /// the IPv4 address that it is.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let host_bits = 32 - u32::from(self.prefix);
                let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
                ours.to_bits() & mask == theirs.to_bits() & mask
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                let host_bits = 128 - u32::from(self.prefix);
                let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
                ours.to_bits() & mask == theirs.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is not an address such as 10.0.0.1 or 10.0.0.0/8");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok().ok_or_else(wrong)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(bits) => bits.parse().ok().filter(|it| *it <= longest).ok_or_else(wrong)?,
            None => longest,
        };
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

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
    fn a_network_holds_its_addresses_and_no_others() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("192.168.1.7", "192.168.1.7", "192.168.1.8"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::ffff:11.1.2.3"),
            ("fd00::/8", "fdff::1", "fe00::1"),
            ("::1", "::1", "::2"),
        ] {
            let network: Network = network.parse().unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{network} {inside}");
            assert!(!network.contains(outside.parse().unwrap()), "{network} {outside}");
        }
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("203.0.113.9".parse().unwrap()));
        for text in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "example.org", "10.0.0.0/-1"] {
            assert!(text.parse::<Network>().unwrap_err().contains("10.0.0.0/8"), "{text}");
        }
    }

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
