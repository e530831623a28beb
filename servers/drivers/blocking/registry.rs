//! Which connections there are, and whether they are busy: for the one who ends a server, and cannot
//! see into the threads that serve them.
//!
//! A connection's thread notes two things about it, each a store into a word of its own: when
//! something last arrived, and that it rests between two requests. The main thread reads them when
//! a drain has begun, and ends what rests by `shutdown(2)`: the thread's `recv(2)` returns then.

use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reactor::net::Stream;
use slab::Slab;

/// The bit of a state that says that the connection rests.
const RESTS: u64 = 1;
/// The bit that says that its thread has not begun with it: what it has sent waits to be read.
const NEW: u64 = 2;
/// The bits of a state below its time.
const BITS: u32 = 2;

/// A connection that is being served.
pub struct Connection {
    stream: Stream,
    /// Its number among all that the server has had.
    number: usize,
    /// When something last arrived, in milliseconds, and the bits.
    state: AtomicU64,
}

/// All of them.
pub struct Registry {
    list: Mutex<Slab<Arc<Connection>>>,
    len: AtomicUsize,
    max: usize,
    /// When something last arrived for one that has ended since.
    last_ms: AtomicU64,
    /// The main thread waits for one of them to end.
    awaited: AtomicBool,
    numbers: AtomicUsize,
}

impl Connection {
    /// Its socket.
    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    /// Its number among all that the server has had.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Something has arrived: it is busy.
    #[inline]
    pub(in crate::drivers) fn arrived(&self, now_ms: u64) {
        self.state.store(now_ms << BITS, Ordering::Relaxed);
    }

    /// Nothing is in flight.
    #[inline]
    pub(in crate::drivers) fn rests(&self, now_ms: u64) {
        self.state.store(now_ms << BITS | RESTS, Ordering::Relaxed);
    }
}

impl Registry {
    /// For so many connections.
    pub fn new(max: usize) -> Self {
        Registry {
            list: Mutex::default(),
            len: AtomicUsize::new(0),
            max,
            last_ms: AtomicU64::new(0),
            awaited: AtomicBool::new(false),
            numbers: AtomicUsize::new(0),
        }
    }

    /// A new connection, and the key to remove it by.
    pub fn insert(&self, stream: Stream, now_ms: u64) -> (usize, Arc<Connection>) {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let state = AtomicU64::new(now_ms << BITS | RESTS | NEW);
        let connection = Arc::new(Connection { stream, number, state });
        self.len.fetch_add(1, Ordering::SeqCst);
        (self.lock().insert(Arc::clone(&connection)), connection)
    }

    /// A connection has been served, and is closed; `true`: the main thread waits for that.
    pub fn remove(&self, key: usize, connection: Arc<Connection>) -> bool {
        let last_ms = connection.state.load(Ordering::Relaxed) >> BITS;
        self.last_ms.fetch_max(last_ms, Ordering::Relaxed);
        let other = self.lock().try_remove(key);
        // The last owner closes the socket, and not under the lock.
        drop((connection, other));
        self.len.fetch_sub(1, Ordering::SeqCst);
        self.awaited.swap(false, Ordering::SeqCst)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len.load(Ordering::SeqCst)
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many there may be.
    pub fn max(&self) -> usize {
        self.max
    }

    /// There is a place for one more; if not, the next one that ends has to say so.
    pub fn has_place(&self) -> bool {
        if self.len() < self.max {
            return true;
        }
        self.awaited.store(true, Ordering::SeqCst);
        // One may have ended before that was to be seen.
        self.len() < self.max
    }

    /// When something last arrived, and whether all of them rest.
    pub fn look(&self) -> (u64, bool) {
        let list = self.lock();
        let ended_ms = self.last_ms.load(Ordering::Relaxed);
        list.iter().fold((ended_ms, true), |(last_ms, rest), (_, connection)| {
            let state = connection.state.load(Ordering::Relaxed);
            (last_ms.max(state >> BITS), rest && state & RESTS != 0)
        })
    }

    /// Ends those that rest: their threads find that nothing more comes.
    pub fn end_resting(&self) {
        for (_, connection) in &*self.lock() {
            if connection.state.load(Ordering::Relaxed) & (RESTS | NEW) == RESTS {
                // One that has failed is about to end anyway.
                let _ = connection.stream.shutdown(Shutdown::Read);
            }
        }
    }

    /// Ends all of them, whatever they do: nothing more comes, and nothing can be sent.
    pub fn cut_off(&self) {
        for (_, connection) in &*self.lock() {
            let _ = connection.stream.shutdown(Shutdown::Both);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slab<Arc<Connection>>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    fn pair() -> (Stream, UnixStream) {
        let (here, there) = UnixStream::pair().unwrap();
        (OwnedFd::from(here).into(), there)
    }

    #[test]
    fn the_one_that_ends_is_awaited_only_where_there_was_no_place() {
        let registry = Registry::new(1);
        let (first, _there) = pair();
        assert!(registry.has_place());
        let (key, connection) = registry.insert(first, 0);
        assert!(!registry.has_place());
        assert!(registry.remove(key, connection));
        assert!(registry.has_place());
        let (second, _there) = pair();
        let (key, connection) = registry.insert(second, 0);
        assert!(!registry.remove(key, connection));
    }

    #[test]
    fn tells_when_something_arrived_and_whether_all_rest() {
        let registry = Registry::new(2);
        let ((a, _a), (b, _b)) = (pair(), pair());
        let ((_, a), (_, b)) = (registry.insert(a, 5), registry.insert(b, 7));
        assert_eq!(registry.look(), (7, true));
        a.arrived(9);
        assert_eq!(registry.look(), (9, false));
        a.rests(9);
        b.rests(8);
        assert_eq!(registry.look(), (9, true));
    }

    #[test]
    fn a_socket_is_closed_with_its_entry() {
        let registry = Registry::new(1);
        let (stream, mut there) = pair();
        let (key, connection) = registry.insert(stream, 0);
        registry.remove(key, connection);
        assert_eq!(there.read(&mut [0]).unwrap(), 0);
    }
}
