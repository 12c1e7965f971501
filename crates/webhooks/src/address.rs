//! Which addresses webhooks may be sent to.
//!
//! An endpoint's host name is whatever its owner's name server says at the moment; were every address allowed, a
//! webhook could be made to post to the machine's own services or to a cloud's metadata server. So only the public
//! internet is allowed, and what the configuration adds.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use courant_auth::Networks;
use ipnet::{Ipv4Net, Ipv6Net};

#[cfg(test)]
mod tests;

/// Decides about addresses.
#[derive(Clone, Debug)]
pub(crate) struct AddressPolicy {
    allowed: Networks,
}

/// An address that webhooks may not be sent to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {what}; to send webhooks there, add it to allow_networks")]
pub(crate) struct Forbidden {
    address: IpAddr,
    what: &'static str,
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(first: [u16; 3], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(first[0], first[1], first[2], 0, 0, 0, 0, 0), prefix)
}

/// IANA's IPv4 special-purpose registry (RFC 6890 and later), and multicast.
const NOT_PUBLIC_V4: [(Ipv4Net, &str); 16] = [
    (v4(0, 0, 0, 0, 8), "unspecified"),
    (v4(10, 0, 0, 0, 8), "private"),
    // Some clouds have their metadata server here (100.100.100.200).
    (v4(100, 64, 0, 0, 10), "shared by a carrier's customers"),
    (v4(127, 0, 0, 0, 8), "loopback"),
    // Most clouds have their metadata server here (169.254.169.254).
    (v4(169, 254, 0, 0, 16), "link-local"),
    (v4(172, 16, 0, 0, 12), "private"),
    (v4(192, 0, 0, 0, 24), "reserved for protocols"),
    (v4(192, 0, 2, 0, 24), "for documentation"),
    (v4(192, 88, 99, 0, 24), "a 6to4 relay"),
    (v4(192, 168, 0, 0, 16), "private"),
    (v4(198, 18, 0, 0, 15), "for benchmarks"),
    (v4(198, 51, 100, 0, 24), "for documentation"),
    (v4(203, 0, 113, 0, 24), "for documentation"),
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(255, 255, 255, 255, 32), "broadcast"),
    (v4(240, 0, 0, 0, 4), "reserved"),
];

/// The only IPv6 addresses that are handed out (IANA, "IPv6 Global Unicast"). Everything else is local in some way:
/// loopback, unique local (with fd00:ec2::254, a metadata server), link-local, site-local, multicast, discard.
const GLOBAL_V6: Ipv6Net = v6([0x2000, 0, 0], 3);

/// What is special within it (IANA's IPv6 special-purpose registry).
const NOT_PUBLIC_V6: [(Ipv6Net, &str); 4] = [
    // Teredo, benchmarks, ORCHID: nobody's web server.
    (v6([0x2001, 0, 0], 23), "reserved for protocols"),
    (v6([0x2001, 0x0db8, 0], 32), "for documentation"),
    // Leads to the IPv4 address that it holds, through a relay we can't judge.
    (v6([0x2002, 0, 0], 16), "a 6to4 address"),
    (v6([0x3fff, 0, 0], 20), "for documentation"),
];

/// NAT64 (RFC 6052): leads to the IPv4 address in its last 32 bits.
const NAT64: Ipv6Net = v6([0x0064, 0xff9b, 0], 96);

// === impl AddressPolicy ===

impl AddressPolicy {
    /// Allows the public internet and these networks.
    pub(crate) fn new(allowed: Networks) -> Self {
        Self { allowed }
    }

    /// Whether webhooks may be sent to this address. IPv4 inside IPv6 is judged as the IPv4 address it leads to.
    pub(crate) fn check(&self, address: IpAddr) -> Result<(), Forbidden> {
        let target = match address.to_canonical() {
            IpAddr::V6(v6) if NAT64.contains(&v6) => {
                let [.., a, b, c, d] = v6.octets();
                IpAddr::V4(Ipv4Addr::new(a, b, c, d))
            }
            other => other,
        };
        if self.allowed.contains(address) || self.allowed.contains(target) {
            return Ok(());
        }
        match not_public(target) {
            Some(what) => Err(Forbidden { address, what }),
            None => Ok(()),
        }
    }
}

/// What an address is, if it is no public one.
fn not_public(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => NOT_PUBLIC_V4.iter().find(|(net, _)| net.contains(&v4)).map(|&(_, what)| what),
        IpAddr::V6(v6) if v6.is_loopback() => Some("loopback"),
        IpAddr::V6(v6) if !GLOBAL_V6.contains(&v6) => Some("not global"),
        IpAddr::V6(v6) => NOT_PUBLIC_V6.iter().find(|(net, _)| net.contains(&v6)).map(|&(_, what)| what),
    }
}
