//! What kind of socket an inherited descriptor is.

use std::io;
use std::os::fd::AsFd;

use super::options::get_number;

/// Whether it carries a stream of bytes, like TCP (`SO_TYPE`, see `socket(7)`).
///
/// # Errors
/// `ENOTSOCK` when it is not a socket.
pub fn is_stream(socket: impl AsFd) -> io::Result<bool> {
    let kind = get_number(socket.as_fd(), libc::SOL_SOCKET, libc::SO_TYPE)?;
    Ok(kind == libc::SOCK_STREAM)
}

/// Whether connections can be accepted from it (`SO_ACCEPTCONN`, see `socket(7)`).
///
/// # Errors
/// `ENOTSOCK` when it is not a socket; `ENOPROTOOPT` where the system does not tell.
pub fn is_listening(socket: impl AsFd) -> io::Result<bool> {
    Ok(get_number(socket.as_fd(), libc::SOL_SOCKET, libc::SO_ACCEPTCONN)? != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::net::{UnixListener, UnixStream};

    #[test]
    fn listeners_are_distinguished_from_connections_and_datagrams() {
        let folder = tempfile::tempdir().unwrap();
        let unix = UnixListener::bind(folder.path().join("socket")).unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let connection = TcpStream::connect(tcp.local_addr().unwrap()).unwrap();
        let (pair, _other) = UnixStream::pair().unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(is_stream(&unix).unwrap() && is_stream(&tcp).unwrap());
        assert!(is_stream(&connection).unwrap() && is_stream(&pair).unwrap());
        assert!(!is_stream(&udp).unwrap());
        // macOS does not know the option.
        assert!(is_listening(&unix).unwrap_or(true) && is_listening(&tcp).unwrap_or(true));
        assert!(!is_listening(&connection).unwrap_or(false));
        assert!(!is_listening(&pair).unwrap_or(false));
    }

    #[test]
    fn a_file_is_not_a_socket() {
        let file = File::open("/dev/null").unwrap();
        assert!(is_stream(&file).is_err() && is_listening(&file).is_err());
    }
}
