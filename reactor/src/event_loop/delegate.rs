//! A handler by reference or in a box, of a type that is chosen while the program runs.

use super::{EventLoop, Handler};
use crate::poller::Readiness;
use crate::signal::Signal;
use crate::token::Token;

/// Every method, so that a default of the trait does not hide the handler's own.
macro_rules! delegate {
    () => {
        #[inline]
        fn ready(&mut self, ev: &mut EventLoop, token: Token, readiness: Readiness) {
            (**self).ready(ev, token, readiness);
        }

        #[inline]
        fn timeout(&mut self, ev: &mut EventLoop, token: Token) {
            (**self).timeout(ev, token);
        }

        #[inline]
        fn woken(&mut self, ev: &mut EventLoop) {
            (**self).woken(ev);
        }

        #[inline]
        fn has_work(&self) -> bool {
            (**self).has_work()
        }

        #[inline]
        fn signal(&mut self, ev: &mut EventLoop, signal: Signal) {
            (**self).signal(ev, signal);
        }

        #[inline]
        fn turn_ended(&mut self, ev: &mut EventLoop) {
            (**self).turn_ended(ev);
        }
    };
}

impl<H: Handler + ?Sized> Handler for &mut H {
    delegate!();
}

/// A `Box<dyn Handler>` too.
impl<H: Handler + ?Sized> Handler for Box<H> {
    delegate!();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_loop::Config;
    use std::cell::RefCell;
    use std::collections::BTreeSet;
    use std::rc::Rc;

    type Calls = Rc<RefCell<BTreeSet<&'static str>>>;

    struct Recorder(Calls);

    impl Recorder {
        fn called(&self, what: &'static str) {
            self.0.borrow_mut().insert(what);
        }
    }

    impl Handler for Recorder {
        fn ready(&mut self, ev: &mut EventLoop, token: Token, _: Readiness) {
            self.called("ready");
            ev.release(token);
        }

        fn timeout(&mut self, ev: &mut EventLoop, token: Token) {
            self.called("timeout");
            ev.release(token);
        }

        fn woken(&mut self, _: &mut EventLoop) {
            self.called("woken");
        }

        fn has_work(&self) -> bool {
            self.called("has_work");
            false
        }

        fn signal(&mut self, _: &mut EventLoop, _: Signal) {
            self.called("signal");
        }

        fn turn_ended(&mut self, _: &mut EventLoop) {
            self.called("turn_ended");
        }
    }

    /// The methods that are called when everything happens that a loop reports.
    fn called(wrap: impl FnOnce(Recorder) -> Box<dyn Handler>) -> Vec<&'static str> {
        let calls = Calls::default();
        let mut handler = wrap(Recorder(Rc::clone(&calls)));
        let mut ev = EventLoop::new(Config::with_sources(2)).unwrap();
        ev.handle_signals(&[Signal::USR1]).unwrap();
        ev.doorbell().unwrap();
        let deferred = ev.reserve().unwrap();
        ev.defer(deferred, Readiness::READABLE);
        let timed = ev.reserve().unwrap();
        ev.set_deadline(timed, 0);
        // SAFETY: takes no pointer; the signal is blocked in this thread.
        unsafe { libc::raise(Signal::USR1.number()) };
        ev.waker().unwrap().wake().unwrap();
        while ev.sources() > 0 {
            ev.turn(&mut handler, None).unwrap();
        }
        calls.take().into_iter().collect()
    }

    #[test]
    fn a_boxed_handler_is_called_with_everything() {
        let all = ["has_work", "ready", "signal", "timeout", "turn_ended", "woken"];
        assert_eq!(called(|recorder| Box::new(recorder)), all);
    }

    /// Borrowed for a while, as a function does that is given a `&mut dyn Handler`.
    #[test]
    fn a_borrowed_handler_is_called_with_everything() {
        let calls = Calls::default();
        let mut recorder = Recorder(Rc::clone(&calls));
        let mut borrowed: &mut dyn Handler = &mut recorder;
        let mut ev = EventLoop::new(Config::with_sources(1)).unwrap();
        ev.doorbell().unwrap();
        let token = ev.reserve().unwrap();
        ev.defer(token, Readiness::READABLE);
        ev.turn(&mut borrowed, None).unwrap();
        let expected = ["has_work", "ready", "turn_ended"];
        assert_eq!(calls.take().into_iter().collect::<Vec<_>>(), expected);
    }
}
