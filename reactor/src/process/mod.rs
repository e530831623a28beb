//! Processes: forked workers, executed programs, and how they communicate.
//!
//! ```text
//!            fork() ──► Fork::Parent(Child) ── AsFd: readable when it has ended ──► the event loop
//!   one ────┤                  ▲  │
//!  process   └─► Fork::Child   │  └─ signal(), try_wait()
//!                     │        │
//!                  Channel ◄───┴─► Channel       a byte that says what, and a descriptor (SCM_RIGHTS)
//! ```
//!
//! | item | what |
//! |---|---|
//! | [`fork()`] | a copy of this process, for as long as it has one thread |
//! | [`Child`] | a child as a source of events: `pidfd_open(2)`, or `EVFILT_PROC` in a kqueue of its own |
//! | [`Children`] | many children, whose ends one signal reports |
//! | [`inherits_orphans`], [`reap_orphans`] | what process 1 of a container owes the others |
//! | [`exit_at_once`] | the end of a child |
//! | [`signal_when_parent_ends`] | a child that learns of its parent's end |
//! | [`send_signal`] | a signal to any process, by its number |
//! | [`connection_signals`] | signals that end the connection of a child that waits for it |
//! | [`clean_start()`] | signals and modes that a process inherits, set right |
//! | [`Channel`] | a pair of sockets for messages of one byte, each with a descriptor if need be |
//! | [`Program`] | this program, executed again with some of its descriptors inherited |
//! | [`cores`], [`pin`] | the available cores, and how to stay on one |
//! | [`become_user`] | dropping privileges permanently |
//! | [`monotonic_us`] | the time, as another process reads it |
//! | [`thread_cpu_time`] | CPU time that a thread has used |
//! | [`inherited_fd`], [`disown_fd`] | descriptors that this process inherited |
//! | [`DescriptorLimit`] | how many descriptors it may have |
//! | [`process_limit`] | how many processes its user may have |
//! | [`Landlock`], [`no_new_privileges`] | giving up what a server does not need (Linux) |
//! | [`Priority`] | how a thread shares its core with others |
//!
//! Counters that parent and children share are in [`shared`](crate::shared).
//!
//! *Not* guaranteed: that a child ends when its parent does. One that watches its end of a
//! [`Channel`] notices ([`Received::Closed`]), provided that no other process holds the parent's
//! end: a forked child closes its siblings' ends that it has inherited.

mod affinity;
mod channel;
mod child;
mod children;
mod clean_start;
pub mod connection_signals;
mod cpu_time;
mod descriptor_limit;
mod exit;
mod fork;
mod identity;
mod inherited;
#[cfg(target_os = "linux")]
mod landlock;
#[cfg(not(target_os = "linux"))]
#[path = "no_landlock.rs"]
mod landlock;
mod monotonic;
mod orphans;
mod parent_end;
mod priority;
mod process_limit;
mod program;
mod send_signal;
mod threads;

pub use affinity::{cores, pin};
pub use channel::{Channel, Message, Received};
pub use child::Child;
pub use children::{Children, Ended};
pub use clean_start::clean_start;
pub use cpu_time::thread_cpu_time;
pub use descriptor_limit::DescriptorLimit;
pub use exit::exit_at_once;
pub use fork::{Fork, fork, fork_unchecked};
pub use identity::{User, become_user, group_by_name, identity, user_by_name, user_by_number};
pub use inherited::{disown_fd, inherited_fd};
pub use landlock::{Access, Landlock, no_new_privileges};
pub use monotonic::monotonic_us;
pub use orphans::{inherits_orphans, reap_orphans};
pub use parent_end::signal_when_parent_ends;
pub use priority::Priority;
pub use process_limit::process_limit;
pub use program::Program;
pub use send_signal::send_signal;
