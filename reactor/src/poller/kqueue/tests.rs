//! The backend against the model: tests of the same behaviour have the names in `../tests.rs`.

use super::model::{GONE, GONE_ON_XNU, Model, System};
use super::*;

mod forked;
mod signals;

const FD: RawFd = 5;
const TOKEN: Token = Token::new(5, 0xffff_fff0); // all 64 bits have to come back

fn setup() -> (Queue<Model>, Batch<Model>) {
    let queue = Queue::<Model>::new().unwrap();
    queue.kernel.open(FD as usize);
    (queue, Batch::with_capacity(8))
}

/// All events of one wait.
fn wait(queue: &Queue<Model>, batch: &mut Batch<Model>) -> Vec<(Token, Readiness)> {
    let count = queue.wait(batch, NOW).unwrap();
    assert_eq!(count, batch.len());
    batch.iter().map(|event| (event.token, event.readiness)).collect()
}

fn errno<T>(result: io::Result<T>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

#[test]
fn a_level_is_reported_until_the_source_is_read() {
    let (queue, mut batch) = setup();
    queue.add(FD, TOKEN, Interest::READABLE, Trigger::Level).unwrap();
    assert_eq!(wait(&queue, &mut batch), []);
    queue.kernel.receive(5, 10);
    for _ in 0..3 {
        assert_eq!(wait(&queue, &mut batch), [(TOKEN, Readiness::READABLE)]);
    }
    queue.kernel.read(5, 10);
    assert_eq!(wait(&queue, &mut batch), []);
}

#[test]
fn an_edge_is_reported_once_and_again_when_more_arrives() {
    let (queue, mut batch) = setup();
    queue.add(FD, TOKEN, Interest::READABLE, Trigger::Edge).unwrap();
    queue.kernel.receive(5, 1);
    queue.kernel.receive(5, 1);
    assert_eq!(wait(&queue, &mut batch), [(TOKEN, Readiness::READABLE)]);
    assert_eq!(wait(&queue, &mut batch), []);
    queue.kernel.receive(5, 1);
    assert_eq!(wait(&queue, &mut batch), [(TOKEN, Readiness::READABLE)]);
    assert_eq!(wait(&queue, &mut batch), []);
}

#[test]
fn a_source_that_is_ready_when_added_is_reported() {
    for trigger in [Trigger::Level, Trigger::Edge] {
        let (queue, mut batch) = setup();
        queue.kernel.receive(5, 1);
        queue.add(FD, TOKEN, Interest::BOTH, trigger).unwrap();
        let both = [(TOKEN, Readiness::READABLE), (TOKEN, Readiness::WRITABLE)];
        assert_eq!(wait(&queue, &mut batch), both);
    }
}

#[test]
fn room_to_write_is_an_edge_after_the_socket_was_full() {
    let (queue, mut batch) = setup();
    queue.add(FD, TOKEN, Interest::BOTH, Trigger::Edge).unwrap();
    assert_eq!(wait(&queue, &mut batch), [(TOKEN, Readiness::WRITABLE)]);
    queue.kernel.fill(5);
    assert_eq!(wait(&queue, &mut batch), []);
    queue.kernel.drain(5, 4_096);
    assert_eq!(wait(&queue, &mut batch), [(TOKEN, Readiness::WRITABLE)]);
}

#[test]
fn adding_watches_only_the_direction_asked_for() {
    let (queue, mut batch) = setup();
    queue.add(FD, TOKEN, Interest::WRITABLE, Trigger::Level).unwrap();
    queue.kernel.receive(5, 1);
    assert_eq!(wait(&queue, &mut batch), [(TOKEN, Readiness::WRITABLE)]);
    assert_eq!(queue.kernel.filters(), 1);
}

#[test]
fn modify_changes_token_and_direction_and_reports_again() {
    let (queue, mut batch) = setup();
    let new = Token::new(6, 1);
    queue.kernel.receive(5, 1);
    queue.add(FD, TOKEN, Interest::READABLE, Trigger::Edge).unwrap();
    assert_eq!(wait(&queue, &mut batch), [(TOKEN, Readiness::READABLE)]);
    queue.modify(FD, new, Interest::WRITABLE, Trigger::Edge).unwrap();
    assert_eq!(wait(&queue, &mut batch), [(new, Readiness::WRITABLE)]);
    queue.modify(FD, new, Interest::READABLE, Trigger::Edge).unwrap();
    assert_eq!(wait(&queue, &mut batch), [(new, Readiness::READABLE)]);
    assert_eq!(queue.kernel.filters(), 1);
}

/// A second `EV_ADD` alone would not suffice: the filter would keep its `EV_CLEAR`.
#[test]
fn modify_changes_edges_into_levels_and_back() {
    let (queue, mut batch) = setup();
    let ready = [(TOKEN, Readiness::READABLE)];
    queue.kernel.receive(5, 1);
    queue.add(FD, TOKEN, Interest::READABLE, Trigger::Edge).unwrap();
    queue.modify(FD, TOKEN, Interest::READABLE, Trigger::Level).unwrap();
    assert_eq!(wait(&queue, &mut batch), ready);
    assert_eq!(wait(&queue, &mut batch), ready);
    queue.modify(FD, TOKEN, Interest::READABLE, Trigger::Edge).unwrap();
    assert_eq!(wait(&queue, &mut batch), ready);
    assert_eq!(wait(&queue, &mut batch), []);
}

#[test]
fn nothing_is_reported_after_delete_or_close() {
    for interest in [Interest::READABLE, Interest::WRITABLE, Interest::BOTH] {
        let (queue, mut batch) = setup();
        queue.kernel.receive(5, 1);
        queue.add(FD, TOKEN, interest, Trigger::Level).unwrap();
        queue.delete(FD).unwrap();
        assert_eq!(wait(&queue, &mut batch), []);

        queue.add(FD, TOKEN, interest, Trigger::Level).unwrap();
        queue.kernel.close(5);
        assert_eq!(wait(&queue, &mut batch), []);
        assert_eq!(queue.kernel.filters(), 0);
    }
}

#[test]
fn an_unwatched_descriptor_is_not_found() {
    let (queue, _) = setup();
    assert_eq!(errno(queue.delete(FD)), Some(libc::ENOENT));
    let modified = queue.modify(FD, TOKEN, Interest::BOTH, Trigger::Level);
    assert_eq!(errno(modified), Some(libc::ENOENT));
    assert_eq!(queue.kernel.filters(), 0, "and is not watched as a side effect");
}

#[test]
fn a_descriptor_that_is_not_open_is_refused() {
    let (queue, _) = setup();
    let added = queue.add(77, TOKEN, Interest::BOTH, Trigger::Level);
    assert_eq!(errno(added), Some(libc::EBADF));
}

#[test]
fn a_refused_direction_undoes_the_other() {
    let (queue, _) = setup();
    queue.kernel.open_refusing(9, Filter::Write, libc::EPIPE);
    let added = queue.add(9, TOKEN, Interest::BOTH, Trigger::Level);
    assert_eq!(errno(added), Some(libc::EPIPE));
    assert_eq!(queue.kernel.filters(), 0);

    queue.add(9, TOKEN, Interest::READABLE, Trigger::Level).unwrap();
    let modified = queue.modify(9, TOKEN, Interest::BOTH, Trigger::Level);
    assert_eq!(errno(modified), Some(libc::EPIPE));
}

/// Receipts take all the room there is, so that a change takes no event out.
#[test]
fn changes_do_not_swallow_events() {
    let (queue, mut batch) = setup();
    queue.kernel.open(6);
    queue.add(FD, TOKEN, Interest::READABLE, Trigger::Edge).unwrap();
    queue.kernel.receive(5, 1);
    queue.add(6, Token::new(6, 0), Interest::READABLE, Trigger::Level).unwrap();
    queue.modify(6, Token::new(6, 1), Interest::READABLE, Trigger::Edge).unwrap();
    queue.delete(6).unwrap();
    assert_eq!(wait(&queue, &mut batch), [(TOKEN, Readiness::READABLE)]);
}

#[test]
fn a_peer_that_finished_is_reported_with_what_it_sent() {
    let (queue, mut batch) = setup();
    queue.add(FD, TOKEN, Interest::READABLE, Trigger::Edge).unwrap();
    queue.kernel.receive(5, 10);
    queue.kernel.finish(5);
    let found = Readiness::READABLE | Readiness::READ_CLOSED;
    assert_eq!(wait(&queue, &mut batch), [(TOKEN, found)]);
    assert!(!found.is_error() && !found.is_hangup());
}

#[test]
fn a_broken_connection_is_an_error_in_both_directions() {
    let (queue, mut batch) = setup();
    queue.add(FD, TOKEN, Interest::BOTH, Trigger::Edge).unwrap();
    wait(&queue, &mut batch);
    queue.kernel.fail(5, libc::ECONNRESET);
    let events = wait(&queue, &mut batch);
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|(_, readiness)| readiness.is_error()));
    assert!(events[0].1.is_read_closed());
}

#[test]
fn the_peers_end_is_reported_to_those_that_read_and_not_to_those_that_write() {
    for trigger in [Trigger::Level, Trigger::Edge] {
        let ended = Readiness::READABLE | Readiness::READ_CLOSED;
        for (interest, expected) in [
            (Interest::READABLE, vec![(TOKEN, ended)]),
            (Interest::WRITABLE, vec![]),
            (Interest::BOTH, vec![(TOKEN, ended)]),
        ] {
            let (queue, mut batch) = setup();
            queue.kernel.fill(5);
            queue.add(FD, TOKEN, interest, trigger).unwrap();
            assert_eq!(wait(&queue, &mut batch), []);
            queue.kernel.finish(5);
            assert_eq!(wait(&queue, &mut batch), expected, "{interest:?} {trigger:?}");
        }
    }
}

#[test]
fn a_broken_connection_is_reported_whatever_the_interest() {
    for interest in [Interest::READABLE, Interest::WRITABLE, Interest::BOTH] {
        let (queue, mut batch) = setup();
        queue.kernel.fill(5);
        queue.add(FD, TOKEN, interest, Trigger::Edge).unwrap();
        queue.kernel.fail(5, libc::ECONNRESET);
        let events = wait(&queue, &mut batch);
        assert!(!events.is_empty() && events.iter().all(|(_, found)| found.is_error()));
    }
}

#[test]
fn modify_changes_any_trigger_into_any_other() {
    let all = [Trigger::Level, Trigger::Edge, Trigger::LevelExclusive];
    for (old, new) in all.into_iter().flat_map(|old| all.map(|new| (old, new))) {
        let (queue, mut batch) = setup();
        queue.kernel.receive(5, 1);
        queue.add(FD, Token::new(1, 0), Interest::READABLE, old).unwrap();
        queue.modify(FD, TOKEN, Interest::READABLE, new).unwrap();
        assert_eq!(wait(&queue, &mut batch), [(TOKEN, Readiness::READABLE)]);
        assert_eq!(wait(&queue, &mut batch).len(), usize::from(new != Trigger::Edge));
    }
}

#[test]
fn our_own_end_is_room_to_write_and_no_more() {
    let (queue, mut batch) = setup();
    queue.add(FD, TOKEN, Interest::BOTH, Trigger::Edge).unwrap();
    wait(&queue, &mut batch);
    queue.kernel.shutdown_write(5);
    assert_eq!(wait(&queue, &mut batch), [(TOKEN, Readiness::WRITABLE)]);
}

#[test]
fn more_sources_than_room_come_with_the_next_wait() {
    let (queue, _) = setup();
    let mut batch = Batch::with_capacity(2);
    for ident in 10..15 {
        queue.kernel.open(ident);
        let token = Token::new(ident as u32, 0);
        queue.add(ident as RawFd, token, Interest::WRITABLE, Trigger::Level).unwrap();
    }
    let mut slots = Vec::new();
    for _ in 0..5 {
        let events = wait(&queue, &mut batch);
        assert_eq!(events.len(), 2);
        slots.extend(events.iter().map(|(token, _)| token.slot()));
    }
    let in_turns: Vec<u32> = (10..15).cycle().take(10).collect();
    assert_eq!(slots, in_turns, "no source is skipped");
}

#[test]
fn the_events_are_those_of_the_last_wait() {
    let (queue, mut batch) = setup();
    queue.add(FD, TOKEN, Interest::WRITABLE, Trigger::Edge).unwrap();
    assert_eq!(wait(&queue, &mut batch).len(), 1);
    assert_eq!(batch.get(0).unwrap().token, TOKEN);
    assert_eq!(batch.get(1), None);
    batch.clear();
    assert_eq!(batch.get(0), None);
    assert_eq!(wait(&queue, &mut batch), []);
}

#[test]
fn the_timeout_is_passed_on() {
    let (queue, mut batch) = setup();
    for timeout in [None, NOW, Some(Duration::from_nanos(1_500))] {
        queue.wait(&mut batch, timeout).unwrap();
        assert_eq!(queue.kernel.last_timeout(), timeout);
    }
}

#[test]
fn many_wakes_are_one_event_and_it_wakes_again() {
    let (queue, mut batch) = setup();
    let wake = Wake::new(&queue, TOKEN).unwrap();
    assert_eq!(wait(&queue, &mut batch), []);
    for _ in 0..3 {
        wake.wake().unwrap();
        wake.wake().unwrap();
        assert_eq!(wait(&queue, &mut batch), [(TOKEN, Readiness::READABLE)]);
        assert_eq!(wait(&queue, &mut batch), []);
    }
}

#[test]
fn wakers_are_distinct_and_leave_nothing_behind() {
    let (queue, mut batch) = setup();
    let other = Token::new(8, 0);
    let (first, second) = (Wake::new(&queue, TOKEN).unwrap(), Wake::new(&queue, other).unwrap());
    second.wake().unwrap();
    assert_eq!(wait(&queue, &mut batch), [(other, Readiness::READABLE)]);
    drop(first);
    second.wake().unwrap();
    assert_eq!(wait(&queue, &mut batch), [(other, Readiness::READABLE)]);
    drop(second);
    assert_eq!(queue.kernel.filters(), 0);
}

/// A waker's number may be a descriptor's too: their filters are distinct.
#[test]
fn a_waker_and_a_descriptor_of_the_same_number_are_distinct() {
    let (queue, mut batch) = setup();
    let token = Token::from_u64(FD as u64);
    let wake = Wake::new(&queue, token).unwrap();
    queue.add(FD, TOKEN, Interest::READABLE, Trigger::Level).unwrap();
    queue.delete(FD).unwrap();
    queue.kernel.close(5);
    wake.wake().unwrap();
    assert_eq!(wait(&queue, &mut batch), [(token, Readiness::READABLE)]);
}

/// Of the kqueue that is watched itself, from which nothing is taken.
#[test]
fn a_childs_end_is_reported_and_stays() {
    let watch = ExitWatch::<Model>::new(77).unwrap();
    let kernel = &watch.queue.kernel;
    kernel.exit(78);
    assert!(!kernel.is_readable());
    kernel.exit(77);
    assert!(kernel.is_readable() && kernel.is_readable());
    let mut batch = Batch::with_capacity(8);
    let taken = wait(&watch.queue, &mut batch);
    assert_eq!(taken, [(Token::from_u64(0), Readiness::READABLE)], "an end is no failure");
    assert!(!kernel.is_readable(), "once taken out, it would be gone");
}

#[test]
fn a_child_that_had_ended_before_it_was_watched_is_reported_too() {
    for pid in [GONE, GONE_ON_XNU] {
        let watch = ExitWatch::<Model>::new(pid as libc::pid_t).unwrap();
        assert!(watch.queue.kernel.is_readable() && watch.queue.kernel.is_readable());
    }
}

#[test]
fn what_delete_promises_holds_on_each_system() {
    for system in [System::FreeBsd, System::Xnu] {
        let (queue, mut batch) = setup();
        queue.kernel.becomes(system);
        assert_eq!(queue.delete(FD).unwrap_err().kind(), io::ErrorKind::NotFound);
        queue.kernel.receive(5, 1);
        for interest in [Interest::READABLE, Interest::WRITABLE, Interest::BOTH] {
            queue.add(FD, TOKEN, interest, Trigger::Level).unwrap();
            queue.delete(FD).unwrap();
            assert_eq!((wait(&queue, &mut batch), queue.kernel.filters()), (vec![], 0));
        }
        queue.add(FD, TOKEN, Interest::BOTH, Trigger::Level).unwrap();
        queue.kernel.close(5);
        let closed = [queue.delete(FD), queue.modify(FD, TOKEN, Interest::BOTH, Trigger::Edge)];
        for error in closed.map(errno) {
            assert!([Some(libc::EBADF), Some(libc::ENOENT)].contains(&error), "{error:?}");
        }
        assert_eq!((wait(&queue, &mut batch), queue.kernel.filters()), (vec![], 0));
    }
}
