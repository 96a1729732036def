//! Who may come in: limits on connections, origins, tokens.

use std::{
    collections::HashMap,
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex},
};

use crate::{
    auth::{
        address::Proxies,
        claims::Claims,
        origin::Origins,
        token::{TokenError, Verifier},
    },
    wire::Code,
};

/// What the door is told at the start.
pub struct Rules {
    /// Browsers of which origins are served.
    pub origins: Origins,
    /// Whose `X-Forwarded-For` counts.
    pub proxies: Proxies,
    /// Verifies tokens.
    pub verifier: Verifier,
    /// Clients at a time.
    pub connections_max: usize,
    /// Clients at a time from one address.
    pub per_address_max: usize,
    /// Clients at a time with one subject.
    pub per_subject_max: usize,
}

/// Lets clients in and counts them. One for a gateway.
pub struct Door {
    rules: Rules,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
    by_subject: HashMap<String, usize>,
}

/// A client that was let in; dropping it makes room for another.
pub struct Pass {
    door: Arc<Door>,
    address: IpAddr,
    subject: Mutex<Option<String>>,
}

/// Why a client is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// For the program.
    pub code: Code,
    /// For a person.
    pub message: &'static str,
}

impl Door {
    /// A door with rules.
    pub fn new(rules: Rules) -> Arc<Self> {
        Arc::new(Self { rules, inside: Mutex::default() })
    }

    /// The rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Lets a client in from an address.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Result<Pass, Refused> {
        let mut inside = self.inside.lock().expect("no holder of the door panics");
        let too_many = |message| Refused { code: Code::TooManyConnections, message };
        if inside.all >= self.rules.connections_max {
            return Err(too_many("the gateway's connections are used up; try again later"));
        }
        let address = host(address);
        if !count(&mut inside.by_address, address, self.rules.per_address_max) {
            return Err(too_many("this address has too many connections"));
        }
        inside.all += 1;
        Ok(Pass { door: Arc::clone(self), address, subject: Mutex::new(None) })
    }

    /// Verifies a token.
    pub async fn verify(&self, token: &str) -> Result<Arc<Claims>, TokenError> {
        let now = jiff::Timestamp::now().as_second();
        let result = self.rules.verifier.verify(token, now).await;
        if result.is_err() {
            metrics::counter!("pgfeed_auth_failures_total").increment(1);
        }
        result.map(Arc::new)
    }
}

impl Pass {
    /// Counts the client under its token's subject; false where that has too many.
    pub fn is_subject_admitted(&self, claims: &Claims) -> bool {
        let Some(subject) = claims.subject_key() else { return true };
        let mut known = self.subject.lock().expect("no holder of a pass panics");
        if known.as_ref() == Some(&subject) {
            return true;
        }
        let mut inside = self.door.inside.lock().expect("no holder of the door panics");
        let is_admitted =
            count(&mut inside.by_subject, subject.clone(), self.door.rules.per_subject_max);
        if is_admitted && let Some(former) = known.replace(subject) {
            uncount(&mut inside.by_subject, &former);
        }
        is_admitted
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut inside = self.door.inside.lock().expect("no holder of the door panics");
        inside.all -= 1;
        uncount(&mut inside.by_address, &self.address);
        if let Some(subject) = self.subject.get_mut().expect("no holder of a pass panics") {
            uncount(&mut inside.by_subject, subject);
        }
    }
}

/// Whom an address stands for. Over IPv6 a host has the 2^64 addresses of its network (RFC 4291
/// §2.5.4).
fn host(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address @ IpAddr::V4(_) => address,
    }
}

fn count<K: Hash + Eq>(counts: &mut HashMap<K, usize>, key: K, max: usize) -> bool {
    let count = counts.entry(key).or_default();
    let has_room = *count < max;
    if has_room {
        *count += 1;
    }
    has_room
}

fn uncount<K: Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn a_host_is_its_network_over_ipv6() {
        for (address, stands_for) in [
            ("10.1.2.3", "10.1.2.3"),
            ("::ffff:10.1.2.3", "10.1.2.3"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
            ("2001:db8:1:3::1", "2001:db8:1:3::"),
        ] {
            let host = host(address.parse().expect("an address"));
            assert_eq!(host.to_string(), stands_for, "{address}");
        }
    }
}
