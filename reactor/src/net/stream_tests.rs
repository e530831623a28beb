//! Streams over real sockets.

use std::io::{Read, Seek, Write};
use std::net::TcpListener;
use std::time::Instant;

use super::*;

/// A non-blocking TCP stream and the std stream at its other end.
fn tcp_pair() -> (Stream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let here = Stream::from(listener.accept().unwrap().0);
    here.set_nonblocking(true).unwrap();
    (here, there)
}

fn unix_pair() -> (Stream, UnixStream) {
    let (here, there) = UnixStream::pair().unwrap();
    here.set_nonblocking(true).unwrap();
    (here.into(), there)
}

/// Receives until the result is something other than `WouldBlock`.
fn recv_soon(stream: &Stream, buffer: &mut [u8]) -> io::Result<usize> {
    let start = Instant::now();
    loop {
        match stream.recv(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                assert!(start.elapsed() < Duration::from_secs(10), "nothing came");
                std::thread::yield_now();
            }
            result => return result,
        }
    }
}

fn file_with(bytes: &[u8]) -> std::fs::File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

#[test]
fn nothing_to_receive_would_block_and_the_end_is_zero() {
    let (here, mut there) = unix_pair();
    let mut buffer = [0; 8];
    let nothing = here.recv(&mut buffer).unwrap_err();
    assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
    there.write_all(b"abc").unwrap();
    assert_eq!(here.recv(&mut buffer).unwrap(), 3);
    assert_eq!(&buffer[..3], b"abc");
    drop(there);
    assert_eq!(here.recv(&mut buffer).unwrap(), 0);
}

#[test]
fn a_full_socket_takes_a_part_and_then_would_block() {
    let (here, mut there) = unix_pair();
    let bytes: Vec<u8> = (0..4_000_000_u32).map(|n| n as u8).collect();
    let mut sent = here.send(&bytes).unwrap();
    assert!(sent < bytes.len());
    let full = loop {
        match here.send(&bytes[sent..]) {
            Ok(more) => sent += more,
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
    drop(here);
    let mut received = Vec::new();
    there.read_to_end(&mut received).unwrap();
    assert_eq!(received, bytes[..sent]);
}

#[test]
fn sending_to_a_peer_that_is_gone_is_an_error_not_a_signal() {
    // Blocked, so that a signal, if one were raised, would wait here to be seen.
    let signals = crate::signal::Signals::new(&[crate::signal::Signal::PIPE]);
    let (here, there) = unix_pair();
    drop(there);
    assert_eq!(here.send(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    let vectored = here.write_vectored(&[IoSlice::new(b"x")]);
    assert_eq!(vectored.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(signals.unwrap().next().unwrap(), None);
}

#[test]
fn pieces_arrive_in_order() {
    let (here, mut there) = tcp_pair();
    assert_eq!(here.send_more(b"one ").unwrap(), 4);
    let pieces = [IoSlice::new(b"two "), IoSlice::new(b""), IoSlice::new(b"three ")];
    assert_eq!(here.write_vectored_more(&pieces).unwrap(), 10);
    assert_eq!(here.write_vectored(&[IoSlice::new(b"four")]).unwrap(), 4);
    let mut received = [0; 18];
    there.read_exact(&mut received).unwrap();
    assert_eq!(&received, b"one two three four");
}

#[test]
fn more_pieces_than_one_call_takes_are_sent_in_part() {
    let (here, mut there) = unix_pair();
    let pieces = vec![IoSlice::new(b"x"); PIECES_MAX + 10];
    assert_eq!(here.write_vectored(&pieces).unwrap(), PIECES_MAX);
    let mut received = vec![0; PIECES_MAX];
    there.read_exact(&mut received).unwrap();
}

#[test]
fn sendfile_advances_the_offset_and_reports_the_end_of_the_file() {
    let (here, mut there) = tcp_pair();
    let file = file_with(b"0123456789");
    let mut offset = 3;
    assert_eq!(here.sendfile(file.as_fd(), &mut offset, 4).unwrap(), 4);
    assert_eq!(offset, 7);
    assert_eq!(here.sendfile(file.as_fd(), &mut offset, 100).unwrap(), 3);
    assert_eq!(here.sendfile(file.as_fd(), &mut offset, 100).unwrap(), 0);
    let mut received = [0; 7];
    there.read_exact(&mut received).unwrap();
    assert_eq!(&received, b"3456789");
    let mut beyond = u64::MAX;
    let refused = here.sendfile(file.as_fd(), &mut beyond, 1).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn sendfile_and_its_stand_in_send_the_same() {
    type SendFile = fn(BorrowedFd<'_>, BorrowedFd<'_>, u64, usize) -> io::Result<usize>;
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n / 7) as u8).collect();
    let file = file_with(&bytes);
    for sendfile in [os::sendfile as SendFile, os::copy::sendfile] {
        let (here, mut there) = tcp_pair();
        let reader = std::thread::spawn(move || {
            let mut received = Vec::new();
            there.read_to_end(&mut received).map(|_| received)
        });
        let mut offset = 0;
        loop {
            match sendfile(here.as_fd(), file.as_fd(), offset, 1_000_000) {
                Ok(0) => break,
                Ok(sent) => offset += sent as u64,
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    std::thread::yield_now();
                }
            }
        }
        drop(here);
        assert!(reader.join().unwrap().unwrap() == bytes, "the peer got something else");
    }
}

#[test]
fn shutdown_write_ends_one_direction_only() {
    let (here, mut there) = tcp_pair();
    here.shutdown_write().unwrap();
    assert_eq!(there.read(&mut [0; 8]).unwrap(), 0);
    there.write_all(b"still here").unwrap();
    assert_eq!(recv_soon(&here, &mut [0; 32]).unwrap(), 10);
    assert_eq!(here.send(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn a_linger_of_zero_resets() {
    let (here, mut there) = tcp_pair();
    here.set_linger(Some(Duration::ZERO)).unwrap();
    drop(here);
    let reset = there.read(&mut [0; 8]).unwrap_err();
    assert_eq!(reset.kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn the_error_is_taken_once() {
    let (here, there) = tcp_pair();
    assert!(here.take_error().unwrap().is_none());
    Stream::from(there).set_linger(Some(Duration::ZERO)).unwrap(); // and dropped: a reset
    let start = Instant::now();
    let error = loop {
        match here.take_error().unwrap() {
            Some(error) => break error,
            None => assert!(start.elapsed() < Duration::from_secs(10), "no reset came"),
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert!(here.take_error().unwrap().is_none());
}

#[test]
fn a_cork_holds_a_small_piece_back() {
    let (here, mut there) = tcp_pair();
    here.set_nodelay(true).unwrap();
    here.set_cork(true).unwrap();
    here.send(b"head ").unwrap();
    here.send(b"body").unwrap();
    here.set_cork(false).unwrap();
    let mut received = [0; 9];
    there.read_exact(&mut received).unwrap();
    assert_eq!(&received, b"head body");
}

#[test]
fn streams_convert_from_and_to_std() {
    let (here, _there) = tcp_pair();
    let addr = TcpStream::from(here).local_addr().unwrap();
    assert!(addr.ip().is_loopback());
}

#[test]
fn a_stream_knows_its_peer_until_the_peer_is_gone() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let stream = Stream::from(listener.accept().unwrap().0);
    let peer = Option::<std::net::SocketAddr>::from(stream.peer().unwrap());
    assert_eq!(peer, client.local_addr().ok());
    let (ours, _theirs) = UnixStream::pair().unwrap();
    assert_eq!(Stream::from(ours).peer().unwrap(), Peer::Unix);
}

/// A blocking TCP stream and the std stream at its other end.
fn blocking_pair() -> (Stream, TcpStream) {
    let (here, there) = tcp_pair();
    here.set_nonblocking(false).unwrap();
    (here, there)
}

#[test]
fn a_receive_ends_when_its_time_is_over_and_not_before() {
    let (here, mut there) = blocking_pair();
    let mut buffer = [0; 8];
    here.set_receive_timeout(Some(Duration::from_millis(20))).unwrap();
    let start = Instant::now();
    assert_eq!(here.recv(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert!(start.elapsed() >= Duration::from_millis(20));
    there.write_all(b"abc").unwrap();
    assert_eq!(here.recv(&mut buffer).unwrap(), 3);
    here.set_receive_timeout(Some(Duration::ZERO)).unwrap();
    assert_eq!(here.recv(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    here.set_receive_timeout(None).unwrap();
    let sender = std::thread::spawn(move || there.write_all(b"de"));
    assert_eq!(here.recv(&mut buffer).unwrap(), 2);
    sender.join().unwrap().unwrap();
}

#[test]
fn a_send_that_times_out_reports_what_it_has_sent() {
    let (here, mut there) = blocking_pair();
    here.set_send_timeout(Some(Duration::from_millis(20))).unwrap();
    let bytes = vec![b'x'; 64 << 20];
    let mut sent = here.send(&bytes).unwrap();
    assert!(0 < sent && sent < bytes.len(), "{sent}");
    // A signal that another test causes may have ended the wait early.
    let error = loop {
        match here.send(&bytes) {
            Ok(more) => sent += more,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    drop(here);
    let received = io::copy(&mut there, &mut io::sink()).unwrap();
    assert_eq!(received, sent as u64);
}

#[test]
fn a_blocking_stream_can_be_asked_without_waiting() {
    let (here, mut there) = blocking_pair();
    let mut buffer = [0; 8];
    assert_eq!(here.recv_now(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    there.write_all(b"abc").unwrap();
    assert!(super::super::wait(&here, crate::Interest::READABLE, None).unwrap().is_readable());
    assert_eq!(here.recv_now(&mut buffer).unwrap(), 3);
}

/// How a server that shuts down gets its threads back from silent clients.
#[test]
fn shutting_the_reading_side_ends_a_receive_of_another_thread() {
    let (here, _there) = blocking_pair();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| here.recv(&mut [0; 8]));
        // Either way round: before the receive or during it.
        here.shutdown(Shutdown::Read).unwrap();
        assert_eq!(reader.join().unwrap().unwrap(), 0);
    });
}
