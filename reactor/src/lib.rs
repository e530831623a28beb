//! A hand-written epoll/kqueue reactor: what an event-driven server needs from the operating
//! system.
//!
//! ```text
//!   handler   ◄── ready, timeout, woken, signal ──  event_loop ── deadlines ──► timer
//!     │                                                 │
//!     │ recv, send, accept                              │ wait
//!     ▼                                                 ▼
//!    net         buffer (a pool)        waker, signal ► poller ──► epoll(7) or kqueue(2)
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`event_loop`] | the reactor pattern: sources by token, dispatch, deadlines, fairness |
//! | [`poller`] | which of many descriptors are ready; backends `epoll` and `kqueue` |
//! | [`net`] | listeners and streams, with the socket options servers use |
//! | [`buffer`] | buffers from one region mapped at the start, returned from any thread; a pool for one thread, and one for many |
//! | [`timer`] | a hierarchical timing wheel |
//! | [`waker`], [`signal`] | other threads, and signals, as events |
//! | [`ring`], [`sleep`] | bounded queues between threads; waking only threads that sleep |
//! | [`fiber`] | functions on stacks of their own, which wait in the middle: the core of green threads |
//! | [`scheduler`] | green threads: fibers on a few event loops, which park until a source is ready |
//! | [`fs`] | files opened beneath a directory, and the names in one |
//! | [`page_cache`] | reading files without waiting for a disk |
//! | [`table`], [`token`] | a slab whose keys die with their value |
//! | [`process`] | forked children as events, descriptors passed between processes |
//! | [`shared`] | counters shared with forked children |
//! | [`errno`] | names for the errors that a server acts on |
//!
//! There is no executor and there are no futures. A [`Handler`] is called with what happened and
//! makes plain non-blocking calls of its own; descriptors are those of the standard library
//! (`AsFd`, `OwnedFd`), errors are `std::io::Error`, buffers are [`bytes`]' `BufMut` and become
//! `Bytes`.
//!
//! A server that shouts back, and a client that ends it:
//!
//! ```
//! use stampede_reactor::event_loop::{Config, EventLoop, Handler};
//! use stampede_reactor::{Interest, Readiness, Token, Trigger};
//! use std::io::{Read, Write};
//! use std::net::{TcpListener, TcpStream};
//!
//! struct Shouter {
//!     listener: TcpListener,
//!     client: Option<TcpStream>,
//! }
//!
//! impl Handler for Shouter {
//!     fn ready(&mut self, ev: &mut EventLoop, token: Token, _: Readiness) {
//!         // Readiness is a hint: an error here (WouldBlock) means to wait for the next event.
//!         let Some(client) = &mut self.client else {
//!             let Ok((client, _)) = self.listener.accept() else { return };
//!             client.set_nonblocking(true).expect("a socket");
//!             let token = ev.reserve().expect("room for two sources");
//!             ev.watch(token, &client, Interest::READABLE, Trigger::Level).expect("watched");
//!             ev.set_deadline(token, ev.now_ms() + 10_000);
//!             self.client = Some(client);
//!             return;
//!         };
//!         let mut bytes = [0; 100];
//!         match client.read(&mut bytes) {
//!             Ok(0) => ev.release(token), // and closed, when the handler is dropped
//!             Ok(count) => {
//!                 bytes[..count].make_ascii_uppercase();
//!                 client.write_all(&bytes[..count]).expect("room for 100 bytes");
//!                 ev.set_deadline(token, ev.now_ms() + 10_000); // later: a compare and a store
//!                 return;
//!             }
//!             Err(_) => return,
//!         }
//!         ev.stop();
//!     }
//!
//!     fn timeout(&mut self, ev: &mut EventLoop, token: Token) {
//!         ev.release(token); // silent for ten seconds
//!         ev.stop();
//!     }
//! }
//!
//! # fn main() -> std::io::Result<()> {
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! listener.set_nonblocking(true)?;
//! let address = listener.local_addr()?;
//! let client = std::thread::spawn(move || -> std::io::Result<String> {
//!     let mut stream = TcpStream::connect(address)?;
//!     stream.write_all(b"hello")?;
//!     stream.shutdown(std::net::Shutdown::Write)?;
//!     std::io::read_to_string(stream)
//! });
//!
//! let mut ev = EventLoop::new(Config::with_sources(2))?;
//! let token = ev.reserve().expect("room for two sources");
//! ev.watch(token, &listener, Interest::READABLE, Trigger::Level)?;
//! let mut shouter = Shouter { listener, client: None };
//! ev.run(&mut shouter)?;
//! drop(shouter);
//! assert_eq!(client.join().expect("no panic")?, "HELLO");
//! # Ok(())
//! # }
//! ```
//!
//! `examples/echo.rs` is a whole server with back-pressure for a thousand clients,
//! `examples/proxy.rs` a TCP proxy, `examples/udp_echo.rs` a server of datagrams.
//!
//! Not guaranteed, anywhere: that a readiness is still true when it is acted upon. All sources are
//! non-blocking.

pub mod buffer;
pub mod errno;
pub mod event_loop;
pub mod fiber;
pub mod fs;
pub mod lease;
pub mod net;
pub mod page_cache;
pub mod poller;
pub mod process;
pub mod ring;
pub mod scheduler;
pub mod shared;
pub mod signal;
pub mod sleep;
pub mod table;
pub mod timer;
pub mod token;
pub mod waker;

mod mapping;
mod sync;
mod sys;

pub use buffer::{Buffer, BufferPool, SharedPool};
pub use errno::Errno;
pub use event_loop::{EventLoop, Handler};
pub use net::{Listener, Stream};
pub use poller::{Event, Events, Interest, Poller, Readiness, Trigger};
pub use signal::{Signal, Signals};
pub use sleep::Doorbell;
pub use token::Token;
pub use waker::Waker;
