//! What a poller does with real sockets, on whatever system runs the tests.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use super::*;

const NOW: Option<Duration> = Some(Duration::ZERO);
/// Longer than any test takes: a wait that reaches it has failed.
const SOON: Option<Duration> = Some(Duration::from_secs(10));

fn setup() -> (Poller, Events, UnixStream, UnixStream) {
    let (here, there) = UnixStream::pair().unwrap();
    here.set_nonblocking(true).unwrap();
    (Poller::new().unwrap(), Events::with_capacity(16), here, there)
}

/// All that is reported for `token` by one wait.
fn readiness(poller: &Poller, events: &mut Events, token: Token) -> Readiness {
    poller.wait(events, NOW).unwrap();
    events
        .iter()
        .filter(|event| event.token == token)
        .fold(Readiness::NONE, |all, event| all | event.readiness)
}

#[test]
fn a_level_is_reported_until_the_source_is_read() {
    let (poller, mut events, mut here, mut there) = setup();
    let token = Token::new(5, 77);
    poller.add(&here, token, Interest::READABLE, Trigger::Level).unwrap();
    assert!(readiness(&poller, &mut events, token).is_none());

    there.write_all(b"abc").unwrap();
    for _ in 0..3 {
        assert_eq!(readiness(&poller, &mut events, token), Readiness::READABLE);
    }
    let mut bytes = [0; 3];
    here.read_exact(&mut bytes).unwrap();
    assert!(readiness(&poller, &mut events, token).is_none());
}

#[test]
fn an_edge_is_reported_once_and_again_when_more_arrives() {
    let (poller, mut events, here, mut there) = setup();
    let token = Token::new(1, 0);
    poller.add(&here, token, Interest::READABLE, Trigger::Edge).unwrap();

    there.write_all(b"a").unwrap();
    assert!(readiness(&poller, &mut events, token).is_readable());
    assert!(readiness(&poller, &mut events, token).is_none());
    there.write_all(b"b").unwrap();
    assert!(readiness(&poller, &mut events, token).is_readable());
    assert!(readiness(&poller, &mut events, token).is_none());
}

#[test]
fn a_source_that_is_ready_when_added_is_reported() {
    for trigger in [Trigger::Level, Trigger::Edge] {
        let (poller, mut events, here, mut there) = setup();
        there.write_all(b"early").unwrap();
        let token = Token::new(1, 0);
        poller.add(&here, token, Interest::BOTH, trigger).unwrap();
        let found = readiness(&poller, &mut events, token);
        assert!(found.is_readable() && found.is_writable());
    }
}

#[test]
fn modify_changes_token_and_direction_and_reports_again() {
    let (poller, mut events, here, mut there) = setup();
    there.write_all(b"a").unwrap();
    let (old, new) = (Token::new(1, 0), Token::new(2, 0));
    poller.add(&here, old, Interest::READABLE, Trigger::Edge).unwrap();
    assert!(readiness(&poller, &mut events, old).is_readable());

    poller.modify(&here, new, Interest::WRITABLE, Trigger::Edge).unwrap();
    assert_eq!(readiness(&poller, &mut events, new), Readiness::WRITABLE);
    poller.modify(&here, new, Interest::READABLE, Trigger::Edge).unwrap();
    assert_eq!(readiness(&poller, &mut events, new), Readiness::READABLE);
    assert!(readiness(&poller, &mut events, old).is_none());
}

#[test]
fn nothing_is_reported_after_delete_or_close() {
    let (poller, mut events, here, mut there) = setup();
    let token = Token::new(1, 0);
    there.write_all(b"a").unwrap();
    poller.add(&here, token, Interest::READABLE, Trigger::Level).unwrap();
    poller.delete(&here).unwrap();
    assert_eq!(poller.wait(&mut events, NOW).unwrap(), 0);
    assert_eq!(poller.delete(&here).unwrap_err().kind(), io::ErrorKind::NotFound);
    assert!(poller.modify(&here, token, Interest::READABLE, Trigger::Level).is_err());

    poller.add(&here, token, Interest::READABLE, Trigger::Level).unwrap();
    drop(here);
    assert_eq!(poller.wait(&mut events, NOW).unwrap(), 0);
    assert!(events.is_empty());
}

#[test]
fn a_peer_that_finished_is_reported_with_what_it_sent() {
    let (poller, mut events, mut here, mut there) = setup();
    let token = Token::new(1, 0);
    poller.add(&here, token, Interest::READABLE, Trigger::Edge).unwrap();
    there.write_all(b"last words").unwrap();
    there.shutdown(Shutdown::Write).unwrap();

    let found = readiness(&poller, &mut events, token);
    assert!(found.is_readable() && found.is_read_closed());
    let mut words = Vec::new();
    here.read_to_end(&mut words).unwrap();
    assert_eq!(words, b"last words");
}

/// Closing with a linger time of zero sends a reset.
fn drop_with_reset(stream: TcpStream) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    // SAFETY: `linger` is read, with its size, during the call.
    let result = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of_val(&linger) as libc::socklen_t,
        )
    };
    assert_eq!(result, 0);
}

#[test]
fn a_reset_is_an_error_or_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    let (poller, mut events, ..) = setup();
    let token = Token::new(1, 0);
    poller.add(&server, token, Interest::BOTH, Trigger::Edge).unwrap();
    assert_eq!(readiness(&poller, &mut events, token), Readiness::WRITABLE);

    drop_with_reset(client);
    poller.wait(&mut events, SOON).unwrap();
    let found = events.get(0).unwrap().readiness;
    assert!(found.is_error() || found.is_read_closed(), "{found:?}");
}

#[test]
fn more_sources_than_room_come_with_the_next_wait() {
    let poller = Poller::new().unwrap();
    let mut events = Events::with_capacity(2);
    let pairs: Vec<_> = (0..5).map(|_| UnixStream::pair().unwrap()).collect();
    for (slot, (here, _)) in pairs.iter().enumerate() {
        let token = Token::new(slot as u32, 0);
        poller.add(here, token, Interest::WRITABLE, Trigger::Level).unwrap();
    }
    let mut seen = [false; 5];
    while seen != [true; 5] {
        assert!(poller.wait(&mut events, NOW).unwrap() <= 2, "no more than fit");
        events.iter().for_each(|event| seen[event.token.slot() as usize] = true);
    }
}

#[test]
fn a_wait_is_never_shorter_than_its_timeout() {
    let poller = Poller::new().unwrap();
    let mut events = Events::with_capacity(1);
    for timeout in [Duration::from_micros(300), Duration::from_micros(2_700)] {
        let start = Instant::now();
        assert_eq!(poller.wait(&mut events, Some(timeout)).unwrap(), 0);
        assert!(start.elapsed() >= timeout);
    }
}

#[test]
fn a_poller_is_a_source_itself() {
    let (inner, mut events, here, mut there) = setup();
    let outer = Poller::new().unwrap();
    inner.add(&here, Token::new(1, 0), Interest::READABLE, Trigger::Level).unwrap();
    outer.add(&inner, Token::new(2, 0), Interest::READABLE, Trigger::Level).unwrap();
    assert_eq!(outer.wait(&mut events, NOW).unwrap(), 0);
    there.write_all(b"a").unwrap();
    assert_eq!(outer.wait(&mut events, SOON).unwrap(), 1);
    assert_eq!(events.get(0).unwrap().token, Token::new(2, 0));
}

#[test]
fn the_events_are_those_of_the_last_wait() {
    let (poller, mut events, here, _there) = setup();
    assert!(events.is_empty() && events.get(0).is_none());
    poller.add(&here, Token::new(1, 0), Interest::WRITABLE, Trigger::Edge).unwrap();
    assert_eq!(poller.wait(&mut events, NOW).unwrap(), 1);
    assert_eq!(format!("{events:?}").matches("WRITABLE").count(), 1);
    assert_eq!(poller.wait(&mut events, NOW).unwrap(), 0);
    assert!(events.get(0).is_none());
}

#[test]
fn a_poller_can_be_used_and_moved_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Poller>();
    shared::<Events>();
    shared::<crate::waker::Waker>();
}

/// How many of them are woken is up to the kernel: at least one, and it is reported again.
#[test]
fn a_listener_that_two_pollers_watch_is_reported_until_one_accepts() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let pollers = [Poller::new().unwrap(), Poller::new().unwrap()];
    let token = Token::new(1, 1);
    for poller in &pollers {
        poller.add(&listener, token, Interest::READABLE, Trigger::LevelExclusive).unwrap();
    }
    let reported = || {
        let mut events = Events::with_capacity(4);
        let wait = |poller: &Poller| poller.wait(&mut events, Some(Duration::ZERO)).unwrap();
        pollers.iter().map(wait).sum::<usize>()
    };
    assert_eq!(reported(), 0);
    let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    for _ in 0..3 {
        assert!((1..=2).contains(&reported()));
    }
    listener.accept().unwrap();
    assert_eq!(reported(), 0);
    for poller in &pollers {
        poller.delete(&listener).unwrap();
    }
    drop(client);
}

/// The table in `mod.rs`: the same cases run against the model of kqueue.
#[test]
fn the_peers_end_is_reported_to_those_that_read_and_not_to_those_that_write() {
    for trigger in [Trigger::Level, Trigger::Edge] {
        let ended = Readiness::READABLE | Readiness::READ_CLOSED;
        for (interest, expected) in [
            (Interest::READABLE, ended),
            (Interest::WRITABLE, Readiness::NONE),
            (Interest::BOTH, ended),
        ] {
            let (poller, mut events, mut here, there) = setup();
            while here.write(&[0; 4096]).is_ok() {} // a client that is slow to take its answer
            let token = Token::new(1, 0);
            poller.add(&here, token, interest, trigger).unwrap();
            assert!(readiness(&poller, &mut events, token).is_none());
            there.shutdown(Shutdown::Write).unwrap();
            let found = readiness(&poller, &mut events, token);
            assert_eq!(found, expected, "{interest:?} {trigger:?}");
        }
    }
}

#[test]
fn a_broken_connection_is_reported_whatever_the_interest() {
    for interest in [Interest::READABLE, Interest::WRITABLE, Interest::BOTH] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        server.set_nonblocking(true).unwrap();
        while server.write(&[0; 65_536]).is_ok() {}
        let (poller, mut events, ..) = setup();
        let token = Token::new(1, 0);
        poller.add(&server, token, interest, Trigger::Edge).unwrap();
        poller.wait(&mut events, NOW).unwrap();
        drop_with_reset(client);
        let mut found = Readiness::NONE;
        while !(found.is_error() || found.is_read_closed() || found.is_hangup()) {
            assert!(poller.wait(&mut events, SOON).unwrap() > 0, "{interest:?}: {found:?}");
            found = events.iter().fold(found, |all, event| all | event.readiness);
        }
        assert!(found.is_readable() || !interest.is_readable(), "{interest:?}: {found:?}");
        assert!(found.is_writable() || !interest.is_writable(), "{interest:?}: {found:?}");
    }
}

#[test]
fn our_own_end_is_room_to_write_and_no_more() {
    let (poller, mut events, here, _there) = setup();
    let token = Token::new(1, 0);
    poller.add(&here, token, Interest::BOTH, Trigger::Edge).unwrap();
    here.shutdown(Shutdown::Write).unwrap();
    assert_eq!(readiness(&poller, &mut events, token), Readiness::WRITABLE);
}

#[test]
fn an_exclusive_watch_is_for_reading_only() {
    let (poller, mut events, here, mut there) = setup();
    let token = Token::new(1, 0);
    for interest in [Interest::WRITABLE, Interest::BOTH] {
        let error = poller.add(&here, token, interest, Trigger::LevelExclusive).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("READABLE"), "{error}");
    }
    poller.add(&here, token, Interest::READABLE, Trigger::Edge).unwrap();
    let error = poller.modify(&here, token, Interest::BOTH, Trigger::LevelExclusive).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    there.write_all(b"a").unwrap();
    assert!(readiness(&poller, &mut events, token).is_readable(), "watched as before");
}

#[test]
fn modify_changes_any_trigger_into_any_other() {
    let all = [Trigger::Level, Trigger::Edge, Trigger::LevelExclusive];
    for (old, new) in all.into_iter().flat_map(|old| all.map(|new| (old, new))) {
        let (poller, mut events, here, mut there) = setup();
        there.write_all(b"a").unwrap();
        let (first, second) = (Token::new(1, 0), Token::new(2, 0));
        poller.add(&here, first, Interest::READABLE, old).unwrap();
        poller.modify(&here, second, Interest::READABLE, new).unwrap();
        for round in 0..2 {
            let found = readiness(&poller, &mut events, second);
            assert_eq!(found.is_readable(), round == 0 || new != Trigger::Edge, "{old:?} {new:?}");
            assert!(readiness(&poller, &mut events, first).is_none());
        }
    }
}

#[test]
fn what_is_not_watched_is_not_modified_into_a_watch() {
    let (poller, mut events, here, mut there) = setup();
    there.write_all(b"a").unwrap();
    for trigger in [Trigger::Level, Trigger::Edge, Trigger::LevelExclusive] {
        let error = poller.modify(&here, Token::new(1, 0), Interest::READABLE, trigger);
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(poller.wait(&mut events, NOW).unwrap(), 0);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_regular_file_and_a_second_time_are_refused() {
    let (poller, _, here, _there) = setup();
    let file = tempfile::tempfile().unwrap();
    let token = Token::new(1, 0);
    let add = |fd: BorrowedFd<'_>| poller.add(fd, token, Interest::READABLE, Trigger::Level);
    assert_eq!(add(file.as_fd()).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    add(here.as_fd()).unwrap();
    assert_eq!(add(here.as_fd()).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(add(poller.as_fd()).unwrap_err().kind(), io::ErrorKind::InvalidInput);
}
