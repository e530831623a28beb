//! A model of kqueue's semantics, enough of them for the backend's tests to run anywhere.
//!
//! ```text
//!  Model                          a test moves the world: receive, read, finish, raise, close ...
//!    files   ident -> File        what a read and a write filter look at
//!    notes   filters, in the order in which they became active last
//! ```
//!
//! It follows kqueue(2) of FreeBSD, and its kern_event.c where the page is silent; where that of XNU
//! differs, a test says which it wants ([`System`]):
//!
//! - A filter is *active* from the moment something happened until it was reported (`EV_CLEAR`), or
//!   for as long as it is still ready when taken out (level: it goes to the end of the queue).
//! - An active filter of a descriptor is checked once more when it is taken out, and skipped if it
//!   is no longer ready.
//! - Adding a filter that exists changes its `udata` and checks it again; `EV_CLEAR` stays as it
//!   was.
//! - Changes are made before events are taken out. If one of them failed or wanted a receipt, only
//!   the receipts are returned. Without room for a receipt a failure is the call's.
//! - Closing a descriptor drops its filters. What is said of it then is `EBADF`; on XNU, unless it
//!   is to be added, `ENOENT`.
//! - The end of a process comes with `EV_EOF`, and the filter is gone once it was taken out
//!   (`EV_ONESHOT`); until then the queue is readable. One that has ended already is reported at
//!   once, or (XNU) is not found: `ESRCH`.
//! - `data`: bytes to read, room to write, signals since the last report. `EV_EOF` comes with the
//!   data that is left, and with the socket's error in `fflags`.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use super::{Filter, Kernel, Kevent, NOTHING, flag};

/// A process that ended before it could be watched, and was not waited for.
pub const GONE: usize = 4_711;
/// The same, for a kqueue as it is on XNU.
pub const GONE_ON_XNU: usize = 4_712;

/// Whose kqueue it is.
#[derive(Copy, Clone, Default, PartialEq, Eq, Debug)]
pub enum System {
    #[default]
    FreeBsd,
    Xnu,
}

/// A kqueue and the descriptors it can watch.
#[derive(Default)]
pub struct Model {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    system: System,
    files: BTreeMap<usize, File>,
    notes: Vec<Note>,
    last_timeout: Option<Duration>,
}

/// An open descriptor.
#[derive(Default)]
struct File {
    unread: i64,
    room: i64,
    read_ended: bool,
    write_ended: bool,
    error: u32,
    refuses: Option<(Filter, i32)>, // a filter it cannot have, and its error
}

/// A filter that was added.
struct Note {
    ident: usize,
    filter: Filter,
    clears: bool,
    udata: u64,
    is_active: bool,
    count: i64, // signals, or triggers, since the last report
}

impl Model {
    /// From here on it is this system's.
    pub fn becomes(&self, system: System) {
        self.state().system = system;
    }

    /// Whether a poller that watches the kqueue itself finds it readable.
    pub fn is_readable(&self) -> bool {
        self.state().notes.iter().any(|note| note.is_active)
    }

    /// Opens `ident`, with room to write and nothing to read.
    pub fn open(&self, ident: usize) {
        self.state().files.insert(ident, File { room: 65_536, ..File::default() });
    }

    /// Opens something that fails with `error` when a filter is added.
    pub fn open_refusing(&self, ident: usize, filter: Filter, error: i32) {
        let refuses = Some((filter, error));
        self.state().files.insert(ident, File { refuses, room: 1, ..File::default() });
    }

    /// Closing drops the filters.
    pub fn close(&self, ident: usize) {
        let mut state = self.state();
        state.files.remove(&ident);
        let of_file = |note: &Note| matches!(note.filter, Filter::Read | Filter::Write);
        state.notes.retain(|note| !(of_file(note) && note.ident == ident));
    }

    /// `bytes` arrive.
    pub fn receive(&self, ident: usize, bytes: i64) {
        self.change(ident, Filter::Read, |file| file.unread += bytes);
    }

    /// We read `bytes`; that activates no filter.
    pub fn read(&self, ident: usize, bytes: i64) {
        self.state().files.get_mut(&ident).unwrap().unread -= bytes;
    }

    /// We write until there is no room.
    pub fn fill(&self, ident: usize) {
        self.state().files.get_mut(&ident).unwrap().room = 0;
    }

    /// The peer takes `bytes` of what we wrote.
    pub fn drain(&self, ident: usize, bytes: i64) {
        self.change(ident, Filter::Write, |file| file.room += bytes);
    }

    /// The peer finishes sending.
    pub fn finish(&self, ident: usize) {
        self.change(ident, Filter::Read, |file| file.read_ended = true);
    }

    /// We finish sending.
    pub fn shutdown_write(&self, ident: usize) {
        self.change(ident, Filter::Write, |file| file.write_ended = true);
    }

    /// The connection breaks: both directions end with `error`.
    pub fn fail(&self, ident: usize, error: i32) {
        self.change(ident, Filter::Read, |file| {
            (file.read_ended, file.write_ended, file.error) = (true, true, error as u32);
        });
        self.change(ident, Filter::Write, |_| ());
    }

    /// The signal is sent `times`.
    pub fn raise(&self, signal: usize, times: i64) {
        let mut state = self.state();
        if let Some(at) = state.find(Filter::Signal, signal) {
            state.notes[at].count += times;
            state.activate(at);
        }
    }

    /// A process ends.
    pub fn exit(&self, pid: usize) {
        let mut state = self.state();
        if let Some(at) = state.find(Filter::Process, pid) {
            state.notes[at].count += 1;
            state.activate(at);
        }
    }

    /// The timeout of the last call; the model itself never waits.
    pub fn last_timeout(&self) -> Option<Duration> {
        self.state().last_timeout
    }

    /// How many filters there are.
    pub fn filters(&self) -> usize {
        self.state().notes.len()
    }

    fn change(&self, ident: usize, filter: Filter, change: impl FnOnce(&mut File)) {
        let mut state = self.state();
        change(state.files.get_mut(&ident).unwrap());
        if let Some(at) = state.find(filter, ident) {
            state.activate(at);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Kernel for Model {
    type Raw = Kevent;

    fn kqueue() -> io::Result<Model> {
        Ok(Model::default())
    }

    fn kevent(
        &self,
        changes: &[Kevent],
        events: &mut [Kevent],
        timeout: Option<Duration>,
    ) -> io::Result<usize> {
        let mut state = self.state();
        state.last_timeout = timeout;
        let mut receipts = 0;
        for change in changes {
            let error = state.make(change).err().unwrap_or(0);
            if error == 0 && change.flags & flag::RECEIPT == 0 {
                continue;
            }
            let Some(to) = events.get_mut(receipts) else {
                return Err(io::Error::from_raw_os_error(error));
            };
            *to = Kevent { flags: flag::ERROR, data: error.into(), ..*change };
            receipts += 1;
        }
        Ok(if receipts > 0 { receipts } else { state.take_out(events) })
    }

    fn is_ours(&self) -> bool {
        true
    }
}

impl State {
    fn find(&self, filter: Filter, ident: usize) -> Option<usize> {
        self.notes.iter().position(|note| note.filter == filter && note.ident == ident)
    }

    /// Makes a change, or returns the error that forbids it.
    fn make(&mut self, change: &Kevent) -> Result<(), i32> {
        let found = self.find(change.filter, change.ident);
        let of_file = matches!(change.filter, Filter::Read | Filter::Write);
        if of_file && self.system == System::FreeBsd && !self.files.contains_key(&change.ident) {
            return Err(libc::EBADF);
        }
        if change.flags & flag::DELETE != 0 {
            self.notes.remove(found.ok_or(libc::ENOENT)?);
            return Ok(());
        }
        let at = match found {
            Some(at) => at,
            None if change.flags & flag::ADD == 0 => return Err(libc::ENOENT),
            None => self.attach(change)?,
        };
        self.notes[at].udata = change.udata;
        match change.filter {
            Filter::Read | Filter::Write => self.activate(at),
            Filter::User if change.fflags & flag::NOTE_TRIGGER != 0 => {
                self.notes[at].count += 1;
                self.activate(at);
            }
            Filter::Process if change.ident == GONE => {
                self.notes[at].count = 1;
                self.activate(at);
            }
            Filter::User | Filter::Signal | Filter::Process => {}
        }
        Ok(())
    }

    fn attach(&mut self, change: &Kevent) -> Result<usize, i32> {
        if matches!(change.filter, Filter::Read | Filter::Write) {
            let file = self.files.get(&change.ident).ok_or(libc::EBADF)?;
            if let Some((filter, error)) = file.refuses
                && filter == change.filter
            {
                return Err(error);
            }
        }
        if change.filter == Filter::Process && change.ident == GONE_ON_XNU {
            return Err(libc::ESRCH);
        }
        self.notes.push(Note {
            ident: change.ident,
            filter: change.filter,
            clears: change.flags & flag::CLEAR != 0 || change.filter == Filter::Signal,
            udata: change.udata,
            is_active: false,
            count: 0,
        });
        Ok(self.notes.len() - 1)
    }

    /// Something happened to the note: it joins the queue if it is ready and not in it.
    fn activate(&mut self, at: usize) {
        if !self.notes[at].is_active && self.look(&self.notes[at]).is_some() {
            let mut note = self.notes.remove(at);
            note.is_active = true;
            self.notes.push(note);
        }
    }

    /// The event that a note stands for now, if it is ready.
    fn look(&self, note: &Note) -> Option<Kevent> {
        let event = Kevent { ident: note.ident, filter: note.filter, udata: note.udata, ..NOTHING };
        let (data, ended) = match note.filter {
            Filter::Signal | Filter::User => (note.count, false),
            Filter::Process => (0, note.count > 0), // its status: 0
            Filter::Read => {
                let file = self.files.get(&note.ident)?;
                (file.unread, file.read_ended)
            }
            Filter::Write => {
                let file = self.files.get(&note.ident)?;
                (file.room, file.write_ended)
            }
        };
        let error = match note.filter {
            Filter::Process => flag::NOTE_EXIT,
            _ => self.files.get(&note.ident).map_or(0, |file| file.error),
        };
        let (flags, fflags) = if ended { (flag::EOF, error) } else { (0, 0) };
        (data > 0 || ended).then_some(Kevent { data, flags, fflags, ..event })
    }

    fn take_out(&mut self, events: &mut [Kevent]) -> usize {
        let (line, mut rest): (Vec<Note>, Vec<Note>) =
            self.notes.drain(..).partition(|note| note.is_active);
        let (mut reported, mut waiting, mut filled) = (Vec::new(), Vec::new(), 0);
        for mut note in line {
            if filled == events.len() {
                waiting.push(note);
                continue;
            }
            let Some(event) = self.look(&note) else {
                note.is_active = false;
                rest.push(note);
                continue;
            };
            let clear = if note.clears { flag::CLEAR } else { 0 };
            events[filled] = Kevent { flags: event.flags | clear, ..event };
            filled += 1;
            if note.filter == Filter::Process {
                continue; // EV_ONESHOT
            }
            if note.clears {
                (note.is_active, note.count) = (false, 0);
            }
            reported.push(note);
        }
        self.notes = rest.into_iter().chain(waiting).chain(reported).collect();
        filled
    }
}
