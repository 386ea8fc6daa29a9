//! Which network addresses a registry may send us to.
//!
//! A token server or a storage host is named by the registry. Without a check, a public registry
//! could make us call the cloud's metadata service or a host in the private network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far an address reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// Anywhere on the internet.
    Public,
    /// This machine or the private network: fine when the registry itself is there.
    Private,
    /// Link-local, metadata service, unspecified, multicast: never a registry's business.
    Forbidden,
}

/// What an address is, also when it is an IPv4 address in IPv6 clothes.
pub(super) fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => reach_v4(address),
        IpAddr::V6(address) => match embedded_v4(address) {
            Some(inner) => reach_v4(inner),
            None => reach_v6(address),
        },
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    let [a, b, c, _] = address.octets();
    let is_metadata = address == Ipv4Addr::new(100, 100, 100, 200);
    if a == 0 || a >= 224 || address.is_link_local() || is_metadata {
        return Reach::Forbidden;
    }
    let is_carrier = a == 100 && (64..128).contains(&b);
    let is_protocol = a == 192 && b == 0 && c == 0;
    let is_benchmark = a == 198 && (b == 18 || b == 19);
    if address.is_loopback() || address.is_private() || is_carrier || is_protocol || is_benchmark {
        return Reach::Private;
    }
    Reach::Public
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    let first = address.segments()[0];
    let is_link_local = first & 0xffc0 == 0xfe80;
    let is_metadata = address == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    if address.is_unspecified() || address.is_multicast() || is_link_local || is_metadata {
        return Reach::Forbidden;
    }
    let is_unique_local = first & 0xfe00 == 0xfc00;
    if address.is_loopback() || is_unique_local { Reach::Private } else { Reach::Public }
}

/// The IPv4 address inside `::ffff:a.b.c.d`, `64:ff9b::a.b.c.d` (NAT64) or `2002:aabb:ccdd::` (6to4).
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = address.segments();
    let join = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match segments {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            Some(join(high, low))
        }
        [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_reach_as_far_as_the_registries_of_iana_say() {
        for (text, expected) in [
            ("8.8.8.8", Reach::Public),
            ("172.15.255.255", Reach::Public),
            ("2606:4700::1", Reach::Public),
            ("127.0.0.1", Reach::Private),
            ("10.1.2.3", Reach::Private),
            ("172.16.0.1", Reach::Private),
            ("192.168.1.1", Reach::Private),
            ("100.64.0.1", Reach::Private),
            ("::1", Reach::Private),
            ("fd12::1", Reach::Private),
            ("::ffff:10.0.0.1", Reach::Private),
            ("64:ff9b::7f00:1", Reach::Private),
            ("2002:7f00:1::", Reach::Private),
            ("169.254.169.254", Reach::Forbidden),
            ("::ffff:169.254.169.254", Reach::Forbidden),
            ("0.0.0.0", Reach::Forbidden),
            ("255.255.255.255", Reach::Forbidden),
            ("224.0.0.1", Reach::Forbidden),
            ("100.100.100.200", Reach::Forbidden),
            ("fe80::1", Reach::Forbidden),
            ("fd00:ec2::254", Reach::Forbidden),
            ("::", Reach::Forbidden),
        ] {
            assert_eq!(reach(text.parse().unwrap()), expected, "{text}");
        }
    }
}
