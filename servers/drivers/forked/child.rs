//! How a child process waits for the one client that it serves.
//!
//! It waits in the kernel, as a thread does ([`Blocking`]); beside that it does for itself what a
//! main thread does for the threads of its process:
//!
//! ```text
//!   step ─► write log lines ─► asked to end, and at rest? shutdown(SHUT_RD) ─► wait ─┐
//!    ▲                                                                               │
//!    └──────────────────────────── log to be reopened? reopen it ◄───────────────────┘
//! ```
//!
//! A signal that asks for the end during the wait is the handler's business
//! ([`connection_signals`](reactor::process::connection_signals)).

use std::io;
use std::net::Shutdown;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::compiler_fence;

use reactor::net::Stream;
use reactor::process::connection_signals::Rest;

use crate::app::App;
use crate::drivers::blocking::{Connection, NEW, RESTS};
use crate::drivers::contexts::Contexts;
use crate::drivers::transport::{Blocking, Transport};

/// The bits of a connection's state that say whether a signal may end it.
const MASK: u64 = RESTS | NEW;

/// When a connection rests, for the handler of signals.
pub fn rest(connection: &Connection) -> Rest<'_> {
    Rest { state: connection.state(), mask: MASK, rests: RESTS, asked: connection.end() }
}

/// See the module's head.
pub struct Forked<'s, A: App> {
    io: Blocking<'s>,
    connection: &'s Connection,
    contexts: &'s Contexts<A>,
    /// How often the log had been reopened when this process last looked.
    reopenings: u32,
}

impl<'s, A: App> Forked<'s, A> {
    /// Takes over a blocking connection.
    pub fn new(connection: &'s Connection, contexts: &'s Contexts<A>) -> Self {
        let io = Blocking::new(connection.stream(), contexts.epoch());
        Forked { io, connection, contexts, reopenings: contexts.reopenings_known() }
    }

    #[inline(always)]
    fn waits<R>(&mut self, wait: impl FnOnce(&mut Blocking<'s>) -> io::Result<R>) -> io::Result<R> {
        if self.contexts.log().is_on() {
            self.write_log();
        }
        if self.is_asked_to_end() {
            self.end_if_resting();
        }
        let result = wait(&mut self.io);
        if self.contexts.reopenings() != self.reopenings {
            self.reopen_log();
        }
        result
    }

    /// A signal has asked for the end. Whether the connection rests must be in memory before that
    /// is read: a signal that comes later finds it there, and one that came before has left its mark.
    /// The handler runs on this thread, so that only the compiler could exchange the two.
    #[inline(always)]
    fn is_asked_to_end(&self) -> bool {
        compiler_fence(SeqCst);
        self.connection.end().load(Relaxed)
    }

    #[cold]
    fn write_log(&self) {
        let log = self.contexts.log();
        log.flush();
        let dropped = log.take_dropped();
        if dropped > 0 {
            self.contexts.borrow(0).counters.log_lines_dropped.add(dropped);
        }
    }

    /// The signal came while the connection was busy.
    #[cold]
    fn end_if_resting(&self) {
        if self.connection.state().load(Relaxed) & MASK == RESTS {
            // One that has failed is about to end anyway.
            let _ = self.io.stream().shutdown(Shutdown::Read);
        }
    }

    /// And looks at the root again. The parent reports where that fails; this process goes on with the old file, too.
    #[cold]
    fn reopen_log(&mut self) {
        self.reopenings = self.contexts.reopenings();
        let _ = self.contexts.log().reopen();
        self.contexts.app().reload();
    }
}

impl<A: App> Transport for Forked<'_, A> {
    fn stream(&self) -> &Stream {
        self.io.stream()
    }

    #[inline(always)]
    fn recv(
        &mut self,
        room: &mut [u8],
        now_ms: u64,
        deadline_ms: u64,
    ) -> io::Result<Option<usize>> {
        self.waits(|io| io.recv(room, now_ms, deadline_ms))
    }

    fn prepare_to_send(&mut self) -> io::Result<()> {
        self.io.prepare_to_send()
    }

    fn wait_writable(&mut self, deadline_ms: u64) -> io::Result<bool> {
        self.waits(|io| io.wait_writable(deadline_ms))
    }

    fn sleep(&mut self, deadline_ms: u64) -> io::Result<bool> {
        self.waits(|io| io.sleep(deadline_ms))
    }
}
