//! Waking a loop that waits in its poller, from any thread.
//!
//! ```text
//!  another thread                          the loop
//!  push to a queue                         wait(): an event with the waker's token
//!  wake()  ----- eventfd / EVFILT_USER --> acknowledge()
//!                                          empty the queue
//! ```
//!
//! A wake-up carries nothing; the work itself is in a queue beside it. Wake-ups before the loop has
//! acknowledged merge into one: only the first makes a system call.
//!
//! The order matters on both sides: push, then wake; acknowledge, then look. A push that the look
//! misses came after the acknowledgement, and its wake-up is a new one.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::poller::{Poller, backend};
use crate::token::Token;

/// Wakes the loop behind one poller. Clones wake the same loop.
///
/// ```
/// use stampede_reactor::{Events, Poller, Token, Waker};
///
/// # fn main() -> std::io::Result<()> {
/// let poller = Poller::new()?;
/// let waker = Waker::new(&poller, Token::new(0, 0))?;
/// let other = std::thread::spawn({
///     let waker = waker.clone();
///     move || waker.wake()
/// });
/// let mut events = Events::with_capacity(8);
/// poller.wait(&mut events, None)?;
/// assert_eq!(events.get(0).unwrap().token, Token::new(0, 0));
/// waker.acknowledge();
/// # other.join().unwrap()
/// # }
/// ```
#[derive(Clone)]
pub struct Waker {
    shared: Arc<Shared>,
}

struct Shared {
    /// True from the first wake until the loop has acknowledged it: an event is in flight.
    pending: AtomicBool,
    wake: backend::Wake,
}

impl Waker {
    /// A waker whose events carry `token`; one for each token of a poller.
    pub fn new(poller: &Poller, token: Token) -> io::Result<Waker> {
        let wake = backend::Wake::new(poller.queue(), token)?;
        Ok(Waker { shared: Arc::new(Shared { pending: AtomicBool::new(false), wake }) })
    }

    /// Makes the current or the next wait return.
    ///
    /// What this thread did before is seen by the loop once it has acknowledged.
    pub fn wake(&self) -> io::Result<()> {
        // AcqRel, here and below, on both sides always a read-modify-write: the acknowledgement
        // thus synchronises with every wake before it, including those that found `true` here.
        if self.shared.pending.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let result = self.shared.wake.wake();
        if result.is_err() {
            self.shared.pending.store(false, Ordering::Release); // let the next one try
        }
        result
    }

    /// Wakes whether or not another wake-up is in flight.
    pub(crate) fn wake_now(&self) -> io::Result<()> {
        self.shared.wake.wake()
    }

    /// Acknowledges a wake-up, in the loop, **before** it looks for work.
    ///
    /// Returns whether there was one: an event may be spurious.
    pub fn acknowledge(&self) -> bool {
        self.shared.pending.swap(false, Ordering::AcqRel)
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pending = self.shared.pending.load(Ordering::Relaxed);
        f.debug_struct("Waker").field("pending", &pending).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::poller::Events;

    const TOKEN: Token = Token::new(3, 9);

    fn setup() -> (Poller, Events, Waker) {
        let poller = Poller::new().unwrap();
        let waker = Waker::new(&poller, TOKEN).unwrap();
        (poller, Events::with_capacity(4), waker)
    }

    #[test]
    fn a_wake_before_the_wait_is_not_lost() {
        let (poller, mut events, waker) = setup();
        assert_eq!(poller.wait(&mut events, Some(Duration::ZERO)).unwrap(), 0);
        waker.wake().unwrap();
        assert_eq!(poller.wait(&mut events, None).unwrap(), 1);
        assert_eq!(events.get(0).unwrap().token, TOKEN);
        assert!(waker.acknowledge());
    }

    #[test]
    fn many_wakes_are_one_event() {
        let (poller, mut events, waker) = setup();
        for _ in 0..1_000 {
            waker.clone().wake().unwrap();
        }
        assert_eq!(poller.wait(&mut events, None).unwrap(), 1);
        assert!(waker.acknowledge());
        assert!(!waker.acknowledge(), "there was only one");
        assert_eq!(poller.wait(&mut events, Some(Duration::ZERO)).unwrap(), 0);
    }

    #[test]
    fn it_wakes_again_after_the_acknowledgement() {
        let (poller, mut events, waker) = setup();
        for _ in 0..3 {
            waker.wake().unwrap();
            assert_eq!(poller.wait(&mut events, None).unwrap(), 1);
            assert!(waker.acknowledge());
        }
    }

    #[test]
    fn nothing_pushed_before_a_wake_is_missed() {
        const PUSHES: usize = 20_000;
        let (poller, mut events, waker) = setup();
        let pushed = Arc::new(AtomicUsize::new(0));
        let pushers: Vec<_> = (0..2)
            .map(|_| {
                let (waker, pushed) = (waker.clone(), pushed.clone());
                thread::spawn(move || {
                    for _ in 0..PUSHES {
                        pushed.fetch_add(1, Ordering::Relaxed);
                        waker.wake().unwrap();
                    }
                })
            })
            .collect();
        // A lost wake-up makes the wait hang.
        while pushed.load(Ordering::Relaxed) < 2 * PUSHES {
            poller.wait(&mut events, None).unwrap();
            waker.acknowledge();
        }
        pushers.into_iter().for_each(|pusher| pusher.join().unwrap());
    }
}
