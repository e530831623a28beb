//! A new source that is released again, unless all of its registration succeeds.
//!
//! Between [`EventLoop::reserve`] and the moment at which the handler knows the source, any step
//! may fail, and a source that is not released then is lost to the loop. [`EventLoop::register`]
//! is the usual case; where there are more steps, a [`Reservation`] guards them:
//!
//! ```text
//!   reserve_guarded() ──► watch, set_deadline_after, connect, ... ──► keep() ──► Token
//!                                      └─ ? ──► dropped: the source is released
//! ```

use super::EventLoop;
use crate::poller::{Interest, Trigger};
use crate::token::Token;
use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::fd::AsFd;

/// A source that is released when this is dropped; see [`EventLoop::reserve_guarded`].
///
/// It stands for the loop meanwhile, whose methods it has: a second source can be reserved under
/// it.
///
/// Not guaranteed: that a descriptor which was watched, and which is still open afterwards, is no
/// longer in the kernel's list: [unwatch](EventLoop::unwatch) such a one. (Its events would be
/// dropped as stale.)
#[must_use = "dropping it releases the source"]
pub struct Reservation<'a> {
    ev: &'a mut EventLoop,
    token: Token,
    kept: bool,
}

impl EventLoop {
    /// As [`EventLoop::reserve`], but the source is released unless it is
    /// [kept](Reservation::keep).
    ///
    /// ```
    /// use stampede_reactor::event_loop::{Config, EventLoop};
    /// use stampede_reactor::{Interest, Token, Trigger};
    /// use std::{io, os::unix::net::UnixStream, time::Duration};
    ///
    /// /// Both ends, or none.
    /// fn add(ev: &mut EventLoop, ends: &[UnixStream; 2]) -> io::Result<[Token; 2]> {
    ///     let mut first = ev.reserve_guarded()?;
    ///     let token = first.token();
    ///     first.watch(token, &ends[0], Interest::READABLE, Trigger::Level)?;
    ///     first.set_deadline_after(token, Duration::from_secs(5));
    ///     let second = first.register(&ends[1], Interest::READABLE, Trigger::Level)?;
    ///     Ok([first.keep(), second])
    /// }
    ///
    /// let mut ev = EventLoop::new(Config::with_sources(1))?;
    /// let (one, other) = UnixStream::pair()?;
    /// assert!(add(&mut ev, &[one, other]).is_err(), "there is room for one only");
    /// assert_eq!(ev.sources(), 0);
    /// # io::Result::Ok(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`EventLoop::reserve`].
    pub fn reserve_guarded(&mut self) -> io::Result<Reservation<'_>> {
        let token = self.reserve()?;
        Ok(Reservation { ev: self, token, kept: false })
    }

    /// A new source that is watched: [reserve](EventLoop::reserve) and
    /// [watch](EventLoop::watch), or neither.
    ///
    /// # Errors
    ///
    /// As for the two. No source is taken then.
    pub fn register(
        &mut self,
        fd: impl AsFd,
        interest: Interest,
        trigger: Trigger,
    ) -> io::Result<Token> {
        let mut source = self.reserve_guarded()?;
        let token = source.token();
        source.watch(token, fd, interest, trigger)?;
        Ok(source.keep())
    }
}

impl Reservation<'_> {
    /// The source's token; dead if it is not kept.
    pub fn token(&self) -> Token {
        self.token
    }

    /// The source stays.
    pub fn keep(mut self) -> Token {
        self.kept = true;
        self.token
    }
}

impl Deref for Reservation<'_> {
    type Target = EventLoop;

    fn deref(&self) -> &EventLoop {
        self.ev
    }
}

impl DerefMut for Reservation<'_> {
    fn deref_mut(&mut self) -> &mut EventLoop {
        self.ev
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if !self.kept {
            self.ev.release(self.token);
        }
    }
}

impl fmt::Debug for Reservation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("token", &self.token).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_loop::Config;
    use std::os::unix::net::UnixStream;

    fn event_loop(sources_max: u32) -> EventLoop {
        EventLoop::new(Config::with_sources(sources_max)).unwrap()
    }

    #[test]
    fn a_registration_that_fails_takes_no_source() {
        let mut ev = event_loop(1);
        let (end, _other) = UnixStream::pair().unwrap();
        ev.poller().add(&end, Token::new(9, 9), Interest::READABLE, Trigger::Level).unwrap();
        // A second time is refused by epoll; a kqueue takes it as a change.
        #[cfg(target_os = "linux")]
        for _ in 0..3 {
            let error = ev.register(&end, Interest::READABLE, Trigger::Level).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        }
        assert_eq!(ev.sources(), 0);
        ev.poller().delete(&end).unwrap();
        let token = ev.register(&end, Interest::READABLE, Trigger::Level).unwrap();
        assert!(ev.contains(token) && ev.sources() == 1);
    }

    #[test]
    fn a_source_that_is_not_kept_is_released_with_its_deadline() {
        let mut ev = event_loop(1);
        let mut source = ev.reserve_guarded().unwrap();
        let token = source.token();
        source.set_deadline(token, 5);
        drop(source);
        assert!(!ev.contains(token));
        assert_eq!(ev.next_deadline_ms(), None);
        let token = ev.reserve_guarded().unwrap().keep();
        assert!(ev.contains(token));
    }

    #[test]
    fn of_two_sources_the_first_goes_with_the_second() {
        fn both(ev: &mut EventLoop) -> io::Result<[Token; 2]> {
            let mut first = ev.reserve_guarded()?;
            let second = first.reserve_guarded()?.keep();
            Ok([first.keep(), second])
        }
        let mut ev = event_loop(3);
        both(&mut ev).unwrap();
        assert_eq!(both(&mut ev).unwrap_err().kind(), io::ErrorKind::OutOfMemory);
        assert_eq!(ev.sources(), 2);
    }
}
