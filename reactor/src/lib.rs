//! A hand-written epoll/kqueue reactor.

pub mod buffer;
pub mod event_loop;
pub mod net;
pub mod poller;
pub mod shared;
pub mod signal;
pub mod table;
pub mod timer;
mod sys;
pub mod token;
pub mod waker;

mod mapping;

pub use buffer::{Buffer, BufferPool};
pub use event_loop::{EventLoop, Handler};
pub use poller::{Event, Events, Interest, Poller, Readiness, Trigger};
pub use signal::{Signal, Signals};
pub use token::Token;
pub use waker::Waker;
