//! The right answer, learned from one request before the load.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use http::Limits;
use http::client::{Connection, Event, ResponseHead};

use super::routes::{Expected, Route};

/// The longest content that is compared.
const BODY_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Asks once; every other answer has to equal this one.
///
/// # Errors
/// The connection's, or no valid response.
pub fn learn(address: SocketAddr, route: &mut Route, timeout: Duration) -> io::Result<()> {
    let expected = ask(address, route, timeout)?;
    route.expected = Some(Arc::new(expected));
    Ok(())
}

/// The answer to one request on a connection of its own.
///
/// # Errors
/// The connection's, or no valid response.
pub fn ask(address: SocketAddr, route: &Route, timeout: Duration) -> io::Result<Expected> {
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    ask_on(&mut stream, route)
}

/// The answer to one request on a connection that has no other one pending.
///
/// # Errors
/// The connection's, or no valid response.
pub fn ask_on(stream: &mut TcpStream, route: &Route) -> io::Result<Expected> {
    stream.write_all(&route.request)?;
    let limits = Limits::default().with_body(BODY_BYTES_MAX);
    let (mut connection, mut head) = (Connection::new(), ResponseHead::new(&limits));
    connection.sent(route.method).map_err(io::Error::other)?;
    let (mut input, mut body, mut code) = (Vec::new(), Vec::new(), None);
    let mut buffer = [0; 16 * 1024];
    loop {
        let mut at = 0;
        loop {
            let rest = &input[at..];
            let step = connection.next(rest, &mut head, &limits);
            let step = step.map_err(|error| io::Error::other(error.to_string()))?;
            at += step.consumed;
            match step.event {
                Event::Head => code = Some(head.code()),
                Event::Data { start, len } => body.extend_from_slice(&rest[start..start + len]),
                Event::End | Event::Interim => {}
                Event::NeedMore => break,
            }
            if let Some(code) = code.filter(|_| !connection.body_follows()) {
                return Ok(Expected { code, body });
            }
        }
        input.drain(..at);
        match stream.read(&mut buffer)? {
            0 => {
                let end = connection.eof().map_err(|error| io::Error::other(error.to_string()))?;
                let closed = || io::Error::from(io::ErrorKind::UnexpectedEof);
                let code = code.filter(|_| end.is_some()).ok_or_else(closed)?;
                return Ok(Expected { code, body });
            }
            count => input.extend_from_slice(&buffer[..count]),
        }
    }
}
