//! What an operator needs: listening addresses, privileges, confinement, supervision and upgrades.
//! The models can be understood without it.
//!
//! | folder or file | what |
//! |---|---|
//! | `listen` | listening sockets, from the options |
//! | `log_file` | the log file, made for the user that writes it |
//! | `trial` | what workers need, tried as the user that they will be |
//! | `orphans` | what process 1 of a container owes the others |
//! | `proxy_protocol` | the client's address, as reported by a proxy in front |
//! | `privileges` | switching to another user |
//! | `sandbox` | confining the serving process |
//! | `service` | pid file, service manager |
//! | `upgrade` | replacing the running binary: the old process's side |
//! | `inherited` | the new process's side |

pub mod inherited;
pub mod listen;
pub mod log_file;
pub mod orphans;
pub mod privileges;
pub mod proxy_protocol;
pub mod sandbox;
pub mod service;
pub mod trial;
pub mod upgrade;

use std::io;

use reactor::event_loop::Config;
use reactor::{EventLoop, Signal, Waker};

use self::sandbox::{Sandbox, Who};
use crate::failure::Named as _;
use crate::options::Options;

/// The signals that a server handles: stop, finish, reload (USR1 only reopens the logs), upgrade,
/// and the end of children, which may be orphans ([`orphans::reap`]).
pub const SIGNALS: [Signal; 7] = [
    Signal::TERM,
    Signal::INT,
    Signal::QUIT,
    Signal::HUP,
    Signal::USR1,
    Signal::USR2,
    Signal::CHLD,
];

/// How a server should stop.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Ending {
    /// After the requests in flight, or the drain timeout. A second time: at once.
    Stop,
    /// After the requests in flight, without a time limit.
    Quit,
    /// The same; another process now owns the listeners and the connections in their queues.
    HandOver,
}

/// A loop that reads these signals. Threads that are started later inherit that they are not
/// delivered.
///
/// # Errors
/// The system refuses: a descriptor, a facility.
pub fn event_loop(config: Config, signals: &[Signal]) -> io::Result<EventLoop> {
    let mut event_loop = EventLoop::new(config).named("cannot make an event loop")?;
    event_loop.handle_signals(signals).named("cannot read signals as events")?;
    Ok(event_loop)
}

/// Wakes a loop from other threads.
///
/// # Errors
/// The system refuses a descriptor.
pub fn waker(event_loop: &mut EventLoop) -> io::Result<Waker> {
    event_loop.waker().named("cannot make an event loop's waker")
}

/// The last step before serving, once all is bound and while there is one thread: drops privileges
/// and enters the sandbox, as configured.
///
/// # Errors
/// The system refuses.
pub fn confine(options: &Options) -> io::Result<Option<Sandbox>> {
    let sandbox = Sandbox::prepare(options, Who::Process)?;
    log_file::make(options);
    trial::drop_privileges(options)?;
    enter(sandbox.as_ref())?;
    Ok(sandbox)
}

/// The same in a worker process, with the sandbox prepared by its master.
///
/// # Errors
/// The system refuses.
pub fn confine_worker(options: &Options, sandbox: Option<&Sandbox>) -> io::Result<()> {
    // It may have been rotated since the last worker has opened it.
    log_file::make(options);
    privileges::drop(options)?;
    enter(sandbox)
}

fn enter(sandbox: Option<&Sandbox>) -> io::Result<()> {
    sandbox.map_or(Ok(()), Sandbox::enter)
}
