//! Trusted proxies, whose PROXY header is believed: addresses, networks, and local processes.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use reactor::net::Peer;

/// An IP network, or a single address: `10.0.0.0/8`, `2001:db8::/32`, `127.0.0.1`.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    /// Prefix length.
    bits: u8,
}

/// The prefix length of all mapped addresses, `::ffff:0:0/96` (RFC 4291, 2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// Why a text is not a network.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum NotANetwork {
    /// The part before the slash is not an address.
    Address,
    /// The part after it is not a prefix length of such an address.
    Bits,
    /// The address has host bits set: most likely a typing error.
    Host,
}

impl Network {
    /// Whether the network contains an address. A mapped address, `::ffff:192.0.2.1`, as a
    /// dual-stack socket reports it, counts as IPv4.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let (ours, bits) = number(self.address);
        let (theirs, width) = number(ip.to_canonical());
        width == bits && differ_below(ours ^ theirs, width - u32::from(self.bits))
    }
}

/// The address as a number, and how many bits it has.
fn number(ip: IpAddr) -> (u128, u32) {
    match ip {
        IpAddr::V4(ip) => (u32::from(ip).into(), 32),
        IpAddr::V6(ip) => (ip.into(), 128),
    }
}

/// Whether only the lowest `count` bits are set.
fn differ_below(difference: u128, count: u32) -> bool {
    difference.checked_shr(count).unwrap_or(0) == 0
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NotANetwork::Address)?;
        let (number, width) = number(address);
        let bits = match bits {
            None => width as u8,
            Some(bits) => bits.parse().map_err(|_| NotANetwork::Bits)?,
        };
        let host = width.checked_sub(bits.into()).ok_or(NotANetwork::Bits)?;
        let mask = 1u128.checked_shl(host).map_or(u128::MAX, |bit| bit - 1);
        if number & mask != 0 && host > 0 {
            return Err(NotANetwork::Host);
        }
        Ok(Network { address, bits }.canonical())
    }
}

impl Network {
    /// A network of mapped addresses, `::ffff:10.0.0.0/104`, is the IPv4 network that they stand
    /// for: peers are compared, and logged, as IPv4. (One that begins with `::ffff:` has at least
    /// 96 bits, or host bits.)
    fn canonical(self) -> Network {
        match (self.address.to_canonical(), self.bits.checked_sub(MAPPED_BITS)) {
            (address @ IpAddr::V4(_), Some(bits)) if self.address.is_ipv6() => {
                Network { address, bits }
            }
            _ => self,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match u32::from(self.bits) == number(self.address).1 {
            true => write!(f, "{}", self.address),
            false => write!(f, "{}/{}", self.address, self.bits),
        }
    }
}

/// Peers whose PROXY header is believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trusted {
    /// Peers that connect from these networks.
    pub networks: Vec<Network>,
    /// Peers on a Unix socket: local processes with permission on the socket's file.
    pub unix: bool,
}

impl Trusted {
    /// Whether no peer is trusted.
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }

    /// Whether this peer is trusted.
    pub fn includes(&self, peer: Peer) -> bool {
        match peer.ip() {
            Some(ip) => self.networks.iter().any(|network| network.contains(ip)),
            None => self.unix,
        }
    }
}

/// As `--trusted` takes it, separated by commas.
impl fmt::Display for Trusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let networks = self.networks.iter().map(Network::to_string);
        let all: Vec<String> = networks.chain(self.unix.then(|| "unix".to_owned())).collect();
        f.write_str(if all.is_empty() { "none" } else { "" })?;
        f.write_str(&all.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(network: &str, ip: &str) -> bool {
        network.parse::<Network>().unwrap().contains(ip.parse().unwrap())
    }

    #[test]
    fn networks_contain_what_they_should_and_nothing_else() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("192.0.2.128/25", "192.0.2.128", "192.0.2.127"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::a01:203"),
            ("0.0.0.0/0", "255.255.255.255", "::1"),
            ("::/0", "ffff::", "1.2.3.4"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::1", "::1", "::2"),
            ("::ffff:127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("::ffff:127.0.0.1", "::ffff:127.0.0.1", "::127.0.0.1"),
            ("::ffff:10.0.0.0/104", "10.255.0.1", "11.0.0.1"),
            ("::ffff:a00:0/104", "::ffff:10.1.2.3", "::ffff:11.1.2.3"),
            ("::ffff:0:0/96", "192.0.2.1", "::1"),
        ] {
            assert!(has(network, inside) && !has(network, outside), "{network}");
        }
    }

    #[test]
    fn invalid_networks_are_refused_with_the_reason() {
        for (text, why) in [
            ("", NotANetwork::Address),
            ("10.0.0/8", NotANetwork::Address),
            ("balancer.example", NotANetwork::Address),
            ("10.0.0.0/33", NotANetwork::Bits),
            ("::/129", NotANetwork::Bits),
            ("10.0.0.0/", NotANetwork::Bits),
            ("10.0.0.1/8", NotANetwork::Host),
            ("1.0.0.0/0", NotANetwork::Host),
            ("::1/0", NotANetwork::Host),
            ("::ffff:10.0.0.1/104", NotANetwork::Host),
            ("::ffff:0:0/95", NotANetwork::Host),
            ("::ffff:10.0.0.0/129", NotANetwork::Bits),
        ] {
            assert_eq!(text.parse::<Network>(), Err(why), "{text}");
        }
    }

    #[test]
    fn unix_sockets_are_trusted_by_name_only() {
        let mut trusted = Trusted { networks: vec!["0.0.0.0/0".parse().unwrap()], unix: false };
        assert!(!trusted.includes(Peer::Unix));
        trusted.unix = true;
        assert!(trusted.includes(Peer::Unix));
        assert_eq!(trusted.to_string(), "0.0.0.0/0,unix");
        assert_eq!(Trusted::default().to_string(), "none");
    }
}
