//! Messages to the operator: lines on standard error that begin with the server's name.
//!
//! ```text
//!  report!(…) ─► one line ─► is there room? ── yes ─► standard error
//!                                └── no, or an error: dropped and counted; the next line that
//!                                    is written is preceded by how many were lost
//! ```
//!
//! Standard error may be closed, full, a pipe without a reader, or one that is not read: a server
//! serves its clients all the same. So nothing here panics, and nothing waits
//! ([`reactor::fs::write_now`]). All messages come through here, those of a panic included
//! ([`report_panics`]); the lints on `print!` and its relatives hold the rest of the crate to that.
//!
//! *Not* guaranteed: that a line arrives. Two messages are the standard library's own, which may
//! wait for a reader before the process ends: those of an allocation that fails, and of a thread's
//! stack that overflows.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::panic::{self, PanicHookInfo};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use reactor::fs::{PIPE_BUF, write_now};
use reactor::shared::SharedTable;

/// The server's name; a process runs one model.
static NAME: OnceLock<&'static str> = OnceLock::new();
/// Lines that were dropped, by all processes of the server.
static DROPPED: OnceLock<Option<SharedTable<AtomicU64>>> = OnceLock::new();
/// Held while a line is written, which does not wait.
static OUTPUT: Mutex<Output> = Mutex::new(Output { lost: 0, in_line: false, pid: 0 });

/// What is known of standard error.
struct Output {
    /// Lines of this process that are lost and were not reported as such.
    lost: u64,
    /// A part of a line was written, without its end.
    in_line: bool,
    /// The process that this is about: a forked child has lost nothing.
    pid: u32,
}

/// Sets the name that lines begin with; only the first call counts. To be called before the server
/// has other processes, which count their dropped lines in the same place.
pub fn name_is(name: &'static str) {
    let _ = NAME.set(name);
    DROPPED.get_or_init(|| SharedTable::new(1).ok());
}

/// How many lines the server's processes have dropped.
pub fn lines_dropped() -> u64 {
    let table = DROPPED.get().and_then(Option::as_ref);
    table.map_or(0, |table| table[0].load(Relaxed))
}

/// Reports one line, in one write: lines of several threads and processes do not mix.
pub fn line(text: fmt::Arguments<'_>) {
    // Before the lock is taken: formatting runs code of others, which may report something itself.
    let line = formatted(text);
    let mut output = OUTPUT.lock().unwrap_or_else(PoisonError::into_inner);
    output.line(&line, |bytes| write_now(io::stderr(), bytes));
}

/// The line: no longer than what a pipe takes whole, and without characters that would end it or
/// move a terminal's cursor.
fn formatted(text: fmt::Arguments<'_>) -> String {
    let (mut line, mut cut) = (format!("{}: ", name()), "");
    for c in text.to_string().chars() {
        let _ = match c.is_control() {
            true => write!(line, "{}", c.escape_default()),
            false => line.write_char(c),
        };
    }
    while line.len() >= PIPE_BUF - " …".len() && line.pop().is_some() {
        cut = " …";
    }
    line.push_str(cut);
    line.push('\n');
    line
}

fn name() -> &'static str {
    NAME.get().unwrap_or(&"stampede")
}

impl Output {
    fn line(&mut self, line: &str, write: impl Fn(&[u8]) -> io::Result<usize>) {
        let pid = process::id();
        if self.pid != pid {
            (self.lost, self.pid) = (0, pid);
        }
        if self.lost > 0 && self.is_written(&lost_lines(self.lost), &write) {
            self.lost = 0;
        }
        if self.lost > 0 || !self.is_written(line, &write) {
            self.lost += 1;
            if let Some(Some(dropped)) = DROPPED.get() {
                dropped[0].fetch_add(1, Relaxed);
            }
        }
    }

    /// Writes all of a line, or not; what there is of one that failed halfway is ended first.
    fn is_written(&mut self, line: &str, write: impl Fn(&[u8]) -> io::Result<usize>) -> bool {
        if self.in_line {
            self.in_line = !matches!(write(b"\n"), Ok(1));
        }
        match (self.in_line, line.len()) {
            (true, _) => false,
            (false, len) => {
                let written = write(line.as_bytes()).unwrap_or(0);
                self.in_line = (1..len).contains(&written);
                written == len
            }
        }
    }
}

fn lost_lines(count: u64) -> String {
    let (name, lines) = (name(), if count == 1 { "message" } else { "messages" });
    format!("{name}: {count} {lines} before this one could not be written here\n")
}

/// Has panics reported as everything else is: the standard library's hook waits for a reader, and
/// writes several lines.
pub fn report_panics() {
    panic::set_hook(Box::new(|info| {
        report_panic(info);
        let trace = Backtrace::capture();
        if trace.status() == BacktraceStatus::Captured {
            trace.to_string().lines().for_each(|frame| line(format_args!("{frame}")));
        }
    }));
}

fn report_panic(info: &PanicHookInfo<'_>) {
    let thread = thread::current();
    let thread = thread.name().unwrap_or("without a name");
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("without a message");
    match info.location() {
        Some(place) => line(format_args!("thread '{thread}' panicked at {place}: {text}")),
        None => line(format_args!("thread '{thread}' panicked: {text}")),
    }
}

/// Writes a text that was asked for, such as the help, to standard output. A reader that has seen
/// enough (`--help | head`) is no error.
///
/// # Errors
/// It cannot be written; the text says so.
pub fn page(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let text = format!("cannot write to standard output: {error}");
            Err(io::Error::new(error.kind(), text))
        }
        _ => Ok(()),
    }
}

/// Reports a line to the operator; takes the arguments of `format!`.
macro_rules! report {
    ($($text:tt)*) => {
        $crate::report::line(format_args!($($text)*))
    };
}

pub(crate) use report;

/// The least time between two lines about the same failure.
const APART: Duration = Duration::from_secs(1);

/// A failure that is tried again until it succeeds: the operator gets one line for all that, and
/// one a second where it fails and succeeds by turns.
#[derive(Debug, Default)]
pub struct Failing {
    reported: bool,
    last: Option<Instant>,
}

impl Failing {
    /// It has failed; `true`: that is to be reported.
    pub fn failed(&mut self, now: Instant) -> bool {
        let is_due = |last| now.saturating_duration_since(last) >= APART;
        if self.reported || !self.last.is_none_or(is_due) {
            return false;
        }
        (self.reported, self.last) = (true, Some(now));
        true
    }

    /// It has succeeded.
    pub fn succeeded(&mut self) {
        self.reported = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};

    /// Writes to `text` as long as there is room.
    fn write(text: &RefCell<String>, room: &Cell<usize>, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(room.get());
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        room.set(room.get() - count);
        text.borrow_mut().push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        Ok(count)
    }

    #[test]
    fn what_is_lost_is_counted_and_reported_once_there_is_room() {
        let (text, room) = (RefCell::default(), Cell::new(2));
        let mut output = Output { lost: 0, in_line: false, pid: 0 };
        for line in ["one\n", "two\n", "three\n"] {
            output.line(line, |bytes| write(&text, &room, bytes));
        }
        assert_eq!((output.lost, text.borrow().as_str()), (3, "on"));
        room.set(1000);
        output.line("four\n", |bytes| write(&text, &room, bytes));
        output.line("five\n", |bytes| write(&text, &room, bytes));
        let lost = "3 messages before this one could not be written here";
        assert_eq!(*text.borrow(), format!("on\n{}: {lost}\nfour\nfive\n", name()));
    }

    #[test]
    fn a_forked_child_has_lost_nothing() {
        let (text, room) = (RefCell::default(), Cell::new(1000));
        let mut output = Output { lost: 3, in_line: false, pid: process::id() + 1 };
        output.line("line\n", |bytes| write(&text, &room, bytes));
        assert_eq!(*text.borrow(), "line\n");
    }

    #[test]
    fn a_message_is_one_line_that_a_pipe_takes_whole() {
        let line = formatted(format_args!("a\nb\x1b[2J é"));
        assert_eq!(line, format!("{}: a\\nb\\u{{1b}}[2J é\n", name()));
        for len in PIPE_BUF - 20..PIPE_BUF + 2 {
            let line = formatted(format_args!("{}", "é".repeat(len / 2)));
            assert!(line.len() <= PIPE_BUF && line.ends_with('\n'), "{}", line.len());
        }
    }

    #[test]
    fn a_failure_is_reported_once_until_it_has_succeeded_and_a_second_has_passed() {
        let (mut failing, first) = (Failing::default(), Instant::now());
        assert!(failing.failed(first));
        assert!(!failing.failed(first + 5 * APART), "the same one");
        failing.succeeded();
        assert!(failing.failed(first + 6 * APART), "another one");
        failing.succeeded();
        assert!(!failing.failed(first + 6 * APART + APART / 2), "too soon");
        assert!(failing.failed(first + 7 * APART), "it goes on");
    }
}
