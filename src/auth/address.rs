//! The address of a client: the peer's, or what trusted proxies say of it.
//!
//! Limits per address stand on this, so a client must not be able to choose its own: a header is
//! read from the right, where the nearest proxy writes, and only as far as proxies are trusted.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use thiserror::Error;

/// Not an address or a network in CIDR notation.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is neither an address nor a network such as 10.0.0.0/8")]
pub struct BadNetwork(String);

/// An address and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    base: IpAddr,
    bits: u32,
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - self.bits).unwrap_or(0);
                base.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - self.bits).unwrap_or(0);
                base.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let bad = || BadNetwork(text.to_owned());
        let (base, bits) = match text.split_once('/') {
            Some((base, bits)) => (base, Some(bits)),
            None => (text, None),
        };
        let base: IpAddr = base.parse().map_err(|_error| bad())?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().ok().filter(|it| *it <= most).ok_or_else(bad)?,
            None => most,
        };
        Ok(Self { base, bits })
    }
}

/// The proxies whose `X-Forwarded-For` counts. Made from the settings once, at the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies(Vec<Network>);

impl Proxies {
    /// Takes addresses and networks.
    pub fn new(entries: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, BadNetwork> {
        entries.into_iter().map(|entry| entry.as_ref().parse()).collect::<Result<_, _>>().map(Self)
    }

    /// The client behind `peer`, given the values of `X-Forwarded-For` in their order.
    ///
    /// An entry that cannot be read ends the walk at the proxy that wrote it.
    pub fn client<'a, I>(&self, peer: IpAddr, forwarded: I) -> IpAddr
    where
        I: IntoIterator<Item = &'a str>,
        I::IntoIter: DoubleEndedIterator,
    {
        let mut nearest = peer.to_canonical();
        let entries = forwarded.into_iter().rev().flat_map(|value| value.rsplit(','));
        for entry in entries {
            if !self.trusts(nearest) {
                break;
            }
            match address(entry.trim()) {
                Some(address) => nearest = address,
                None => break,
            }
        }
        nearest
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

/// Some proxies write the port too.
fn address(text: &str) -> Option<IpAddr> {
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    text.parse::<IpAddr>()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|it| it.ip()))
        .or_else(bare)
        .map(|it| it.to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{IpAddr, Proxies};

    fn client(trusted: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let proxies = Proxies::new(trusted.iter().copied()).expect("networks");
        let peer: IpAddr = peer.parse().expect("an address");
        proxies.client(peer, forwarded.iter().copied()).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        assert_eq!(client(&[], "9.9.9.9", &["1.1.1.1"]), "9.9.9.9");
        assert_eq!(client(&["10.0.0.0/8"], "9.9.9.9", &["1.1.1.1"]), "9.9.9.9");
        assert_eq!(client(&["10.0.0.0/8"], "11.0.0.1", &["1.1.1.1"]), "11.0.0.1");
        assert_eq!(client(&["10.0.0.0/8"], "10.1.2.3", &["1.1.1.1"]), "1.1.1.1");
        assert_eq!(
            client(&["::ffff:10.0.0.1", "10.0.0.1"], "::ffff:10.0.0.1", &["1.1.1.1"]),
            "1.1.1.1"
        );
        assert_eq!(client(&["fd00::/8"], "fd00::1", &["2001:db8::7"]), "2001:db8::7");
        assert_eq!(client(&["0.0.0.0/0"], "9.9.9.9", &["1.1.1.1"]), "1.1.1.1");
    }

    #[test]
    fn the_nearest_untrusted_address_is_the_client() {
        let trusted = &["10.0.0.0/8", "192.0.2.7"];
        // What the client wrote itself stands left of what the proxies wrote.
        assert_eq!(client(trusted, "10.0.0.1", &["6.6.6.6, 1.1.1.1"]), "1.1.1.1");
        assert_eq!(client(trusted, "10.0.0.1", &["6.6.6.6", "1.1.1.1, 192.0.2.7"]), "1.1.1.1");
        assert_eq!(client(trusted, "10.0.0.1", &["1.1.1.1:4711"]), "1.1.1.1");
        assert_eq!(client(trusted, "10.0.0.1", &["[2001:db8::7]:4711"]), "2001:db8::7");
        assert_eq!(client(trusted, "10.0.0.1", &["[2001:db8::7]"]), "2001:db8::7");
        // Nothing readable: the last proxy that is known.
        assert_eq!(client(trusted, "10.0.0.1", &["1.1.1.1, unknown"]), "10.0.0.1");
        assert_eq!(client(trusted, "10.0.0.1", &["1.1.1.1, , 192.0.2.7"]), "192.0.2.7");
        assert_eq!(client(trusted, "10.0.0.1", &[""]), "10.0.0.1");
        assert_eq!(client(trusted, "10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client(trusted, "10.0.0.1", &["10.0.0.2"]), "10.0.0.2");
    }

    #[test]
    fn a_network_is_an_address_and_bits() {
        for bad in ["", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "10/8", "all"] {
            assert!(Proxies::new([bad]).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_client_cannot_choose_its_address(text in "[0-9a-f.:, \\[\\]]{0,60}") {
            let chosen = format!("{text}, 1.1.1.1");
            prop_assert_eq!(client(&["10.0.0.1"], "10.0.0.1", &[&chosen]), "1.1.1.1");
        }
    }
}
