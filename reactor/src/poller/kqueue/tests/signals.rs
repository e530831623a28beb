//! Signals: reported by the model, and pending in the real system, blocked in this thread.

use std::mem::MaybeUninit;
use std::ptr;

use super::super::signals::{pending, take_pending};
use super::*;

fn empty_set() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set it is given.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        set.assume_init()
    }
}

#[test]
fn a_signal_is_read_once_however_often_it_came() {
    let signals = [libc::SIGUSR1, libc::SIGCHLD];
    let mut signals = SignalQueue::<Model>::new(&signals, &empty_set()).unwrap();
    assert_eq!(signals.next().unwrap(), None);
    signals.queue.kernel.raise(libc::SIGCHLD as usize, 3);
    signals.queue.kernel.raise(libc::SIGUSR1 as usize, 1);
    signals.queue.kernel.raise(libc::SIGHUP as usize, 1); // not one of ours
    assert_eq!(signals.next().unwrap(), Some(libc::SIGCHLD));
    assert_eq!(signals.next().unwrap(), Some(libc::SIGUSR1));
    assert_eq!(signals.next().unwrap(), None);
    signals.queue.kernel.raise(libc::SIGUSR1 as usize, 1);
    assert_eq!(signals.next().unwrap(), Some(libc::SIGUSR1));
}

/// With the real signal, blocked in this thread: it must not be delivered when the mask is
/// restored.
#[test]
fn a_signal_that_was_read_is_not_delivered_later() {
    let (mut set, mut before) = (empty_set(), empty_set());
    // SAFETY: the sets are initialised; the signal is blocked before it is raised.
    unsafe {
        libc::sigaddset(&mut set, libc::SIGUSR2);
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, &mut before);
        libc::raise(libc::SIGUSR2);
    }
    let mut signals = SignalQueue::<Model>::new(&[libc::SIGUSR2], &set).unwrap();
    signals.queue.kernel.raise(libc::SIGUSR2 as usize, 1);
    assert_eq!(signals.next().unwrap(), Some(libc::SIGUSR2));
    // SAFETY: `before` is the mask of a moment ago. Unread, SIGUSR2 would end the process here.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &before, ptr::null_mut()) };
}

fn raise_blocked(signal: c_int) {
    // SAFETY: takes no pointer; the callers have blocked the signal in this thread.
    unsafe { libc::raise(signal) };
}

/// Runs with these blocked in this thread. What is still pending after that is delivered, and
/// would end the process.
fn while_blocked<const N: usize>(signals: [c_int; N], run: impl FnOnce(&libc::sigset_t)) {
    let (mut set, mut before) = (empty_set(), empty_set());
    // SAFETY: the sets are initialised, and read or written during the calls.
    unsafe {
        assert!(signals.iter().all(|signal| libc::sigaddset(&mut set, *signal) == 0));
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, &mut before);
    }
    run(&set);
    // SAFETY: `before` is the mask of a moment ago.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &before, ptr::null_mut()) };
}

#[test]
fn signals_that_were_pending_before_are_read_and_keep_it_readable() {
    let both = [libc::SIGUSR1, libc::SIGUSR2];
    while_blocked(both, |set| {
        both.into_iter().for_each(raise_blocked);
        let mut signals = SignalQueue::<Model>::new(&both, set).unwrap();
        let mut read = Vec::new();
        for _ in 0..2 {
            assert!(signals.queue.kernel.is_readable());
            read.push(signals.next().unwrap().unwrap());
        }
        read.sort_unstable();
        assert_eq!(read, both);
        assert!(!signals.queue.kernel.is_readable());
        assert_eq!(signals.next().unwrap(), None);
        // And those that come later, as ever.
        raise_blocked(libc::SIGUSR1);
        signals.queue.kernel.raise(libc::SIGUSR1 as usize, 1);
        assert_eq!(signals.next().unwrap(), Some(libc::SIGUSR1));
        assert_eq!((signals.next().unwrap(), signals.queue.kernel.filters()), (None, 2));
    });
}

/// It comes while the filters are added: pending, and reported by its filter as well.
#[test]
fn a_signal_that_comes_in_between_is_read_once() {
    while_blocked([libc::SIGUSR1], |set| {
        let mut signals = SignalQueue::<Model>::new(&[libc::SIGUSR1], set).unwrap();
        raise_blocked(libc::SIGUSR1);
        signals.queue.kernel.raise(libc::SIGUSR1 as usize, 1);
        signals.early = pending(&[libc::SIGUSR1]);
        signals.report_early().unwrap();
        assert_eq!(signals.next().unwrap(), Some(libc::SIGUSR1));
        assert_eq!(signals.next().unwrap(), None);
    });
}

/// As macOS may do it.
#[test]
fn a_signal_that_is_reported_before_it_is_pending_is_not_delivered_later() {
    while_blocked([libc::SIGUSR1], |set| {
        let mut signals = SignalQueue::<Model>::new(&[libc::SIGUSR1], set).unwrap();
        signals.queue.kernel.raise(libc::SIGUSR1 as usize, 1);
        assert_eq!(signals.next().unwrap(), Some(libc::SIGUSR1));
        raise_blocked(libc::SIGUSR1);
        drop(signals);
        assert!(pending(&[libc::SIGUSR1]).is_empty());
    });
}

/// What was never read is delivered, as with signalfd.
#[test]
fn a_signal_that_was_not_read_stays_pending() {
    while_blocked([libc::SIGUSR1], |set| {
        let signals = SignalQueue::<Model>::new(&[libc::SIGUSR1], set).unwrap();
        raise_blocked(libc::SIGUSR1);
        drop(signals);
        assert_eq!(pending(&[libc::SIGUSR1]), [libc::SIGUSR1]);
        assert!(take_pending(libc::SIGUSR1).unwrap());
    });
}
