//! Beginning a connection.

use std::io;
use std::net::{SocketAddr, TcpStream};

use reactor::Stream;

pub(super) fn connect(address: SocketAddr) -> io::Result<Stream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    Ok(stream.into())
}
