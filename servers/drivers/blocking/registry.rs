//! Which connections there are, and whether they are busy: for the one who ends a server, and cannot
//! see into the threads that serve them.
//!
//! A connection's thread notes two things about it, each a store into a word of its own: when
//! something last arrived, and that it rests between two requests. The main thread reads them when
//! a drain has begun, and ends what rests by `shutdown(2)`: the thread's `recv(2)` returns then.
//!
//! The words are in memory that child processes share: of a connection that a child serves, the
//! parent keeps the entry and the word, but no socket ([`Registry::leave`]).

use std::io;
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reactor::net::Stream;
use reactor::shared::{SharedSlot, SharedTable};
use slab::Slab;

/// The bit of a state that says that the connection rests.
pub const RESTS: u64 = 1;
/// The bit that says that its thread has not begun with it: what it has sent waits to be read.
pub const NEW: u64 = 2;
/// The bits of a state below its time.
const BITS: u32 = 2;

reactor::shared_struct! {
    /// The state of a connection, on a cache line of its own.
    #[repr(C, align(64))]
    pub struct State {
        /// When something last arrived, in milliseconds, and the bits.
        word: AtomicU64,
        /// A signal has asked the process that serves it for its end.
        end: AtomicBool,
    }
}

/// A connection that is being served.
pub struct Connection {
    stream: Stream,
    /// Its number among all that the server has had.
    number: usize,
    state: SharedSlot<State>,
}

/// All of them.
pub struct Registry {
    /// `None`: a child process has the connection.
    list: Mutex<Slab<Option<Arc<Connection>>>>,
    /// By their keys.
    states: SharedTable<State>,
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
        self.state.word.store(now_ms << BITS, Ordering::Relaxed);
    }

    /// Nothing is in flight.
    #[inline]
    pub(in crate::drivers) fn rests(&self, now_ms: u64) {
        self.state.word.store(now_ms << BITS | RESTS, Ordering::Relaxed);
    }

    /// A signal has asked the process that serves it for its end.
    #[inline]
    pub fn end(&self) -> &AtomicBool {
        &self.state.end
    }

    /// When something last arrived, and the bits.
    #[inline]
    pub fn state(&self) -> &AtomicU64 {
        &self.state.word
    }
}

impl Registry {
    /// For `max` connections; a server that stops has up to `last_max`, of which some only wait.
    ///
    /// # Errors
    /// The states' mapping.
    pub fn new(max: usize, last_max: usize) -> io::Result<Self> {
        Ok(Registry {
            list: Mutex::default(),
            states: SharedTable::new(last_max.max(max))?,
            len: AtomicUsize::new(0),
            max,
            last_ms: AtomicU64::new(0),
            awaited: AtomicBool::new(false),
            numbers: AtomicUsize::new(0),
        })
    }

    /// A new connection, and the key to remove it by; `None`, and it is closed: there are too many.
    pub fn insert(&self, stream: Stream, now_ms: u64) -> Option<(usize, Arc<Connection>)> {
        let mut list = self.lock();
        let entry = list.vacant_entry();
        let (key, state) = (entry.key(), self.states.slot(entry.key())?);
        state.word.store(now_ms << BITS | RESTS | NEW, Ordering::Relaxed);
        state.end.store(false, Ordering::Relaxed);
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let connection = Arc::new(Connection { stream, number, state });
        entry.insert(Some(Arc::clone(&connection)));
        self.len.fetch_add(1, Ordering::SeqCst);
        Some((key, connection))
    }

    /// A child process has this connection from now on: closes it here. Its key is to be removed by
    /// [`Registry::remove_left`] when the child has ended.
    pub fn leave(&self, key: usize, connection: Arc<Connection>) {
        let other = self.lock().get_mut(key).and_then(Option::take);
        drop((connection, other));
    }

    /// In a forked child: closes its copies of all sockets, except of those with other owners.
    pub fn leave_all(&mut self) {
        let list = self.list.get_mut().unwrap_or_else(PoisonError::into_inner);
        for (_, connection) in list.iter_mut().filter(|(_, connection)| connection.is_some()) {
            drop(connection.take());
        }
    }

    /// The child that had a connection has ended; `true`: the main thread waits for that.
    pub fn remove_left(&self, key: usize) -> bool {
        self.keep_last_ms(self.word(key));
        let other = self.lock().try_remove(key);
        drop(other);
        self.one_less()
    }

    /// A connection has been served, and is closed; `true`: the main thread waits for that.
    pub fn remove(&self, key: usize, connection: Arc<Connection>) -> bool {
        self.keep_last_ms(connection.state().load(Ordering::Relaxed));
        let other = self.lock().try_remove(key);
        // The last owner closes the socket, and not under the lock.
        drop((connection, other));
        self.one_less()
    }

    fn keep_last_ms(&self, word: u64) {
        self.last_ms.fetch_max(word >> BITS, Ordering::Relaxed);
    }

    fn one_less(&self) -> bool {
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
        list.iter().fold((ended_ms, true), |(last_ms, rest), (key, _)| {
            let state = self.word(key);
            (last_ms.max(state >> BITS), rest && state & RESTS != 0)
        })
    }

    /// Whether a connection has been begun with, and rests since `since_ms` or longer.
    pub fn rests(&self, key: usize, since_ms: u64) -> bool {
        let word = self.word(key);
        word & (RESTS | NEW) == RESTS && word >> BITS <= since_ms
    }

    fn word(&self, key: usize) -> u64 {
        self.states.get(key).map_or(0, |state| state.word.load(Ordering::Relaxed))
    }

    /// Ends those that have rested since `since_ms` or longer: their threads find that nothing more
    /// comes.
    pub fn end_resting(&self, since_ms: u64) {
        self.shut_down(Shutdown::Read, |key| self.rests(key, since_ms));
    }

    /// Ends all of them, whatever they do: nothing more comes, and nothing can be sent.
    pub fn cut_off(&self) {
        self.shut_down(Shutdown::Both, |_| true);
    }

    fn shut_down(&self, how: Shutdown, which: impl Fn(usize) -> bool) {
        for (key, connection) in &*self.lock() {
            if let Some(connection) = connection
                && which(key)
            {
                // One that has failed is about to end anyway.
                let _ = connection.stream.shutdown(how);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slab<Option<Arc<Connection>>>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    fn pair() -> (Stream, UnixStream) {
        let (here, there) = UnixStream::pair().unwrap();
        (OwnedFd::from(here).into(), there)
    }

    #[test]
    fn the_one_that_ends_is_awaited_only_where_there_was_no_place() {
        let registry = Registry::new(1, 1).unwrap();
        let (first, _there) = pair();
        assert!(registry.has_place());
        let (key, connection) = registry.insert(first, 0).unwrap();
        assert!(!registry.has_place());
        assert!(registry.remove(key, connection));
        assert!(registry.has_place());
        let (second, _there) = pair();
        let (key, connection) = registry.insert(second, 0).unwrap();
        assert!(!registry.remove(key, connection));
    }

    #[test]
    fn tells_when_something_arrived_and_whether_all_rest() {
        let registry = Registry::new(2, 2).unwrap();
        let ((a, _a), (b, _b)) = (pair(), pair());
        let ((_, a), (_, b)) = (registry.insert(a, 5).unwrap(), registry.insert(b, 7).unwrap());
        assert_eq!(registry.look(), (7, true));
        a.arrived(9);
        assert_eq!(registry.look(), (9, false));
        a.rests(9);
        b.rests(8);
        assert_eq!(registry.look(), (9, true));
    }

    #[test]
    fn only_those_that_have_rested_for_so_long_are_ended() {
        let registry = Registry::new(4, 4).unwrap();
        let mut pairs: Vec<_> = (0..4).map(|_| pair()).collect();
        let mut clients = Vec::new();
        let mut served = Vec::new();
        for (here, there) in pairs.drain(..) {
            there.set_nonblocking(true).unwrap();
            clients.push(there);
            served.push(registry.insert(here, 5).unwrap().1);
        }
        served[0].rests(7);
        served[1].rests(8);
        served[2].arrived(6);
        registry.end_resting(7);
        // Nothing can be sent to an end that is not read any more.
        let ended: Vec<bool> =
            clients.iter_mut().map(|client| client.write_all(b"x").is_err()).collect();
        assert_eq!(ended, [true, false, false, false]);
    }

    #[test]
    fn of_what_a_child_has_the_socket_is_closed_and_the_state_remains() {
        let registry = Registry::new(1, 1).unwrap();
        let (stream, mut there) = pair();
        let (key, connection) = registry.insert(stream, 5).unwrap();
        let state = registry.states.slot(key).unwrap();
        registry.leave(key, connection);
        assert_eq!(there.read(&mut [0]).unwrap(), 0);
        assert_eq!((registry.len(), registry.has_place()), (1, false));
        state.word.store(9 << BITS, Ordering::Relaxed);
        assert_eq!((registry.look(), registry.rests(key, 9)), ((9, false), false));
        assert!(registry.remove_left(key));
        assert_eq!((registry.look(), registry.len()), ((9, true), 0));
    }

    #[test]
    fn one_more_than_there_are_states_is_closed() {
        let registry = Registry::new(1, 1).unwrap();
        let ((first, _first), (second, mut there)) = (pair(), pair());
        let _first = registry.insert(first, 0).unwrap();
        assert!(registry.insert(second, 0).is_none());
        assert_eq!((there.read(&mut [0]).unwrap(), registry.len()), (0, 1));
    }

    #[test]
    fn a_socket_is_closed_with_its_entry() {
        let registry = Registry::new(1, 1).unwrap();
        let (stream, mut there) = pair();
        let (key, connection) = registry.insert(stream, 0).unwrap();
        registry.remove(key, connection);
        assert_eq!(there.read(&mut [0]).unwrap(), 0);
    }
}
