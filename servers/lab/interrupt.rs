//! Ctrl-C: what is running ends early, and what has been measured is kept.

use std::cell::{Cell, RefCell};
use std::io;

use reactor::{Signal, Signals};

/// Whether the user wants the end. Belongs to the main thread.
pub struct Interrupt {
    signals: Option<RefCell<Signals>>,
    came: Cell<bool>,
}

impl Interrupt {
    /// From now on SIGINT and SIGTERM wait to be noticed, in this thread and in those that it
    /// starts. (Not in the programs that it starts: the standard library clears their mask.)
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn new() -> io::Result<Interrupt> {
        let signals = Signals::new(&[Signal::INT, Signal::TERM])?;
        Ok(Interrupt { signals: Some(RefCell::new(signals)), came: Cell::new(false) })
    }

    /// One that never comes, for tests.
    pub fn never() -> Interrupt {
        Interrupt { signals: None, came: Cell::new(false) }
    }

    /// Whether it has come, once and for all.
    pub fn is_requested(&self) -> bool {
        if let Some(signals) = &self.signals
            && let Ok(Some(_)) = signals.borrow_mut().next()
        {
            self.came.set(true);
        }
        self.came.get()
    }
}
