//! Beginning a connection.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use reactor::Stream;

/// Clients' addresses in use: one has some 28,000 ports, and the kernel's search for a free one gets
/// slow long before the last.
const SOURCES: u32 = 8;

/// Begins connection number `number`; from one of a few addresses that begin at `source`, if one is
/// given.
pub(super) fn connect(
    address: SocketAddr,
    source: Option<Ipv4Addr>,
    number: u32,
) -> io::Result<Stream> {
    let stream = match source {
        None => Stream::connect(address)?,
        Some(first) => {
            let own = Ipv4Addr::from(u32::from(first) + number % SOURCES);
            Stream::connect_from(SocketAddr::from((own, 0)), address)?
        }
    };
    stream.set_nodelay(true)?;
    Ok(stream)
}
