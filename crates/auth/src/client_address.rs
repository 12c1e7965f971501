//! Whose address it is, behind proxies.

use std::net::{IpAddr, SocketAddr};

use crate::Networks;

#[cfg(test)]
mod tests;

/// The client's address: the peer's own, or, if the peer is a trusted proxy, the rightmost address of
/// `X-Forwarded-For` that is not a trusted proxy itself.
///
/// Each proxy appends the address it was connected from, so everything left of the last untrusted one could be
/// the client's invention. Where all are trusted it is the leftmost; an element that is no address (ports are
/// understood) makes the header worthless, and it is the peer.
///
/// `forwarded_for` yields the header's values in the order they were received.
pub fn client_address<'a>(
    peer: IpAddr,
    forwarded_for: impl DoubleEndedIterator<Item = &'a str>,
    trusted: &Networks,
) -> IpAddr {
    let peer = peer.to_canonical();
    if !trusted.contains(peer) {
        return peer;
    }
    let mut client = peer;
    for element in forwarded_for.rev().flat_map(|value| value.rsplit(',')) {
        let Some(address) = parse(element.trim()) else { return peer };
        client = address;
        if !trusted.contains(address) {
            break;
        }
    }
    client
}

/// An address, with or without brackets and a port.
fn parse(text: &str) -> Option<IpAddr> {
    let address = text
        .parse::<IpAddr>()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())?;
    Some(address.to_canonical())
}
