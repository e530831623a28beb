//! A line on standard error before an overflown stack ends the process.
//!
//! A fiber that runs into its guard page is a segmentation fault, and remains one: the process
//! ends by that signal, with a core file if the system writes any. What a bare fault does not
//! tell, and this does, is which fiber it was, and what to do about it:
//!
//! ```text
//! mn: fiber 12 (GET /deep) overflowed its stack of 64 KiB; a larger --stack-size helps
//! ```
//!
//! The handler needs a stack of its own, of which the kernel knows one for each thread
//! (`sigaltstack(2)`), so each thread that resumes fibers asks for these reports. The handler
//! itself is the process's, and passes on what it does not know to the one that was there before:
//! the standard library's, as a rule, which reports the overflows of threads.
//!
//! One thing it cannot tell: a wild pointer into the guard of some stack looks like an overflow.

use super::Suspender;
use super::registry::Overflowed;
use crate::fs::write_now;
use crate::mapping::{Mapping, Sharing};
use crate::sys::check;
use std::cell::RefCell;
use std::fmt;
use std::io;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr;
use std::rc::{Rc, Weak};
use std::sync::{Mutex, OnceLock, PoisonError};

use libc::{c_int, c_void, sigaction, siginfo_t, stack_t};

/// For the handler and those it calls; mostly the processor's registers, which the kernel saves
/// here too (3 KiB with AVX-512, 11 KiB with AMX). What is not touched costs nothing.
const ALTERNATE_STACK_BYTES: usize = 64 * 1024;

/// Either may report a guard page: Linux sends the first, macOS the second.
const SIGNALS: [c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// What the handler needs; set before it is installed, and never changed.
struct Installed {
    name: &'static str,
    hint: &'static str,
    /// By the order of `SIGNALS`.
    previous: [sigaction; 2],
}

static INSTALLED: OnceLock<Installed> = OnceLock::new();
/// Held while the handler is installed.
static INSTALLING: Mutex<()> = Mutex::new(());

/// While this is alive, overflows of fibers that run on its thread are reported.
#[must_use = "reports end when it is dropped"]
pub struct OverflowReports {
    /// Shared by all of the thread's, since the kernel knows one: the last takes it back, in
    /// whichever order they end. (And so it stays on its thread.)
    _alternate: Rc<Alternate>,
}

thread_local! {
    static ALTERNATE: RefCell<Weak<Alternate>> = const { RefCell::new(Weak::new()) };
}

/// The stack of this thread's handler.
struct Alternate {
    /// What the kernel had before for this thread.
    previous: stack_t,
    mapping: ManuallyDrop<Mapping>,
}

impl Alternate {
    /// The thread's own, or a new one.
    fn of_this_thread() -> io::Result<Rc<Alternate>> {
        ALTERNATE.with_borrow_mut(|known| {
            if let Some(alternate) = known.upgrade() {
                return Ok(alternate);
            }
            let alternate = Rc::new(Alternate::new()?);
            *known = Rc::downgrade(&alternate);
            Ok(alternate)
        })
    }

    fn new() -> io::Result<Alternate> {
        let mapping = ManuallyDrop::new(Mapping::new(ALTERNATE_STACK_BYTES, Sharing::Private)?);
        let previous = set_alternate_stack(&stack_t {
            ss_sp: mapping.base().as_ptr().cast(),
            ss_flags: 0,
            ss_size: mapping.len(),
        })?;
        Ok(Alternate { previous, mapping })
    }

    /// It is what the kernel knows: no other code of the thread has set one since.
    fn is_current(&self) -> bool {
        let mut current = MaybeUninit::<stack_t>::uninit();
        // SAFETY: reads the setting, without a change.
        let got = unsafe { libc::sigaltstack(ptr::null(), current.as_mut_ptr()) } == 0;
        // SAFETY: the call has succeeded, so it is filled.
        got && unsafe { current.assume_init() }.ss_sp == self.mapping.base().as_ptr().cast()
    }
}

/// Reports overflows of the fibers that this thread resumes, in lines that begin with `name` and
/// end with `hint`: what is to be done. The first call in the process decides on both.
///
/// # Errors
///
/// The system's, if there is no memory for the handler's stack.
pub fn report_overflows(name: &'static str, hint: &'static str) -> io::Result<OverflowReports> {
    // From here on its drop takes the stack back.
    let reports = OverflowReports { _alternate: Alternate::of_this_thread()? };
    install(name, hint)?;
    Ok(reports)
}

impl Drop for Alternate {
    fn drop(&mut self) {
        // If another one has been set since, that stays, and so does the memory: its owner may set
        // it again. If the call fails, it stays where the kernel believes it is.
        if self.is_current() && set_alternate_stack(&self.previous).is_ok() {
            // SAFETY: not used again.
            unsafe { ManuallyDrop::drop(&mut self.mapping) };
        }
    }
}

impl fmt::Debug for OverflowReports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OverflowReports").finish_non_exhaustive()
    }
}

/// Returns the one before.
fn set_alternate_stack(stack: &stack_t) -> io::Result<stack_t> {
    let mut previous = MaybeUninit::uninit();
    // SAFETY: both are of the type that the call expects; the memory of `stack` is a mapping of
    // ours, or was there before.
    check(unsafe { libc::sigaltstack(stack, previous.as_mut_ptr()) })?;
    // SAFETY: the call has succeeded, so it is filled.
    Ok(unsafe { previous.assume_init() })
}

fn install(name: &'static str, hint: &'static str) -> io::Result<()> {
    let _one_at_a_time = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    if INSTALLED.get().is_some() {
        return Ok(());
    }
    let previous = [action(SIGNALS[0], None)?, action(SIGNALS[1], None)?];
    let _ = INSTALLED.set(Installed { name, hint, previous });
    let mut ours = default_action();
    ours.sa_sigaction = handler as *const () as usize;
    ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    SIGNALS.iter().try_for_each(|&signal| action(signal, Some(&ours)).map(drop))
}

/// Returns the action before, which is replaced if there is a new one.
fn action(signal: c_int, new: Option<&sigaction>) -> io::Result<sigaction> {
    let mut previous = MaybeUninit::uninit();
    let new = new.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: null or an action; the handlers that it may name are `handler` and SIG_DFL.
    check(unsafe { libc::sigaction(signal, new, previous.as_mut_ptr()) })?;
    // SAFETY: the call has succeeded, so it is filled.
    Ok(unsafe { previous.assume_init() })
}

/// SIG_DFL, no flags, an empty mask.
fn default_action() -> sigaction {
    // SAFETY: numbers, for which zero is a value, and on some systems an optional function.
    let mut action: sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = libc::SIG_DFL;
    // SAFETY: the mask is ours.
    unsafe { libc::sigemptyset(&mut action.sa_mask) };
    action
}

/// Runs on the alternate stack. Calls only what may be called there: system calls (fstat, poll,
/// write, sigaction), and loads of what was set before.
extern "C" fn handler(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let Some(installed) = INSTALLED.get() else { return };
    // SAFETY: the kernel passes a filled one; both signals' have an address.
    let address = unsafe { (*info).si_addr() } as usize;
    match Overflowed::at(address) {
        Some(overflowed) => {
            Line::report(installed, &overflowed).write();
            // Returning repeats the fault, which now ends the process.
            let _ = action(signal, Some(&default_action()));
        }
        None => pass_on(installed, signal, info, context),
    }
}

/// As if the previous handler had been called.
fn pass_on(installed: &Installed, signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let index = usize::from(signal == SIGNALS[1]);
    let previous = &installed.previous[index];
    match previous.sa_sigaction {
        // The fault is repeated. Ignored, a fault ends the process all the same.
        libc::SIG_DFL | libc::SIG_IGN => drop(action(signal, Some(previous))),
        address if previous.sa_flags & libc::SA_SIGINFO != 0 => {
            type Handler = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);
            // SAFETY: an action with this flag has the address of such a function.
            let handler = unsafe { std::mem::transmute::<usize, Handler>(address) };
            handler(signal, info, context);
        }
        address => {
            // SAFETY: an action without it has the address of such a function.
            let handler = unsafe { std::mem::transmute::<usize, extern "C" fn(c_int)>(address) };
            handler(signal);
        }
    }
}

/// A line that is written at once; what does not fit is cut.
struct Line {
    bytes: [u8; 768],
    len: usize,
}

impl Line {
    fn report(installed: &Installed, overflowed: &Overflowed) -> Line {
        let mut line = Line { bytes: [0; 768], len: 0 };
        line.push(installed.name.as_bytes());
        line.push(b": fiber ");
        line.push_number(overflowed.number);
        // SAFETY: a fiber that has overflowed runs, on this thread, and its suspender is at the
        // top of its stack.
        let suspender: &Suspender = unsafe { overflowed.suspender().as_ref() };
        if suspender.label_len.get() > 0 {
            line.push(b" (");
            let label = suspender.label.get();
            let len = label.len().min(suspender.label_len.get().into());
            let shown = label[..len].iter().take_while(|byte| **byte != b'\r');
            shown.for_each(|&byte| line.push_escaped(byte));
            line.push(b")");
        }
        line.push(b" overflowed its stack of ");
        line.push_number(overflowed.stack_bytes / 1024);
        line.push(b" KiB; ");
        line.push(installed.hint.as_bytes());
        line.push(b"\n");
        line
    }

    fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if let Some(place) = self.bytes.get_mut(self.len) {
                *place = byte;
                self.len += 1;
            }
        }
    }

    fn push_number(&mut self, number: usize) {
        if number >= 10 {
            self.push_number(number / 10);
        }
        self.push(&[b'0' + (number % 10) as u8]);
    }

    /// What a peer has sent cannot make a line of its own, or move a terminal's cursor.
    fn push_escaped(&mut self, byte: u8) {
        if byte.is_ascii_graphic() && byte != b'\\' || byte == b' ' {
            return self.push(&[byte]);
        }
        let digit = |value: u8| b"0123456789abcdef"[usize::from(value)];
        self.push(&[b'\\', b'x', digit(byte >> 4), digit(byte & 0xF)]);
    }

    /// Without waiting: a process that is about to end must not hang on a reader that does not
    /// read. Whether all is written makes no difference any more.
    fn write(&self) {
        let _ = write_now(io::stderr(), &self.bytes[..self.len]);
    }
}
