//! What ends a process, seen from outside: each test runs itself in a child process.

use super::super::guard::Guards;
use super::super::stack::page_bytes;
use super::super::{StackPool, Suspender, report_overflows};
use super::{fiber, pool};
use std::env;
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};
use std::thread;

/// Set in the child.
const IN_CHILD: &str = "STAMPEDE_TEST_ENDS_ITS_PROCESS";

/// A command that runs programs of this architecture.
const EMULATOR: &str = "STAMPEDE_TEST_EMULATOR";

/// Runs the test `name` of this file again, alone and with the variable; `body` is what it does
/// then. Returns how that went, and in the child never.
fn in_child(name: &str, body: fn()) -> Output {
    if env::var_os(IN_CHILD).is_some() {
        no_core_file();
        body();
        unreachable!("{name} has not ended its process");
    }
    let mut command = this_program();
    command.args(["--exact", &format!("fiber::tests::overflow::{name}"), "--nocapture"]);
    command.env(IN_CHILD, "1").output().expect("a run of one test")
}

/// Under an emulator, when the tests run in one: the system would not know how to start it.
fn this_program() -> Command {
    let program = env::current_exe().expect("this test");
    let emulator = env::var(EMULATOR).unwrap_or_default();
    let mut words = emulator.split_whitespace();
    match words.next() {
        None => Command::new(program),
        Some(emulator) => {
            let mut command = Command::new(emulator);
            command.args(words).arg(program);
            command
        }
    }
}

fn no_core_file() {
    let limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit is alive.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_CORE, &limit) }, 0);
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[expect(unconditional_recursion, reason = "that is the point")]
fn overflow(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    overflow(depth + 1) + black_box(frame)[63]
}

#[test]
fn an_overflow_is_reported_and_ends_the_process() {
    let output = in_child("an_overflow_is_reported_and_ends_the_process", || {
        let _reports = report_overflows("mn", "a larger --stack-size helps").expect("a stack");
        let pool = pool(3);
        let _first = pool.take();
        let mut second = fiber(&pool, |suspender| {
            suspender.set_label(b"GET /deep\x1b[2J\n\xff\\");
            black_box(overflow(0));
        });
        second.resume(0);
    });
    let text = stderr(&output);
    assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{text}");
    let line = r"mn: fiber 1 (GET /deep\x1b[2J\x0a\xff\x5c) overflowed its stack of 64 KiB; "
        .to_owned()
        + "a larger --stack-size helps";
    assert!(text.lines().any(|printed| printed == line), "{text}");
}

/// In whichever order the reports of a thread end, those that are left work.
#[test]
fn the_last_of_several_reports_takes_the_stack_back() {
    let output = in_child("the_last_of_several_reports_takes_the_stack_back", || {
        let first = report_overflows("mn", "-").expect("a stack");
        let _second = report_overflows("mn", "-").expect("a stack");
        drop(first);
        fiber(&pool(1), |_| assert_ne!(overflow(0), 1)).resume(0);
    });
    let text = stderr(&output);
    assert!(text.contains("mn: fiber 0 overflowed its stack of 64 KiB; -\n"), "{text}");
    let before = current_alternate_stack();
    let first = report_overflows("test", "-").expect("a stack");
    let second = report_overflows("test", "-").expect("a stack");
    drop(first);
    assert_ne!(current_alternate_stack(), before);
    drop(second);
    assert_eq!(current_alternate_stack(), before);
}

#[test]
fn guards_by_protection_are_reported_too() {
    let output = in_child("guards_by_protection_are_reported_too", || {
        let _reports = report_overflows("mn", "-").expect("a stack");
        let guards = Guards::by_protection(page_bytes());
        let pool = StackPool::with_guards(16 * 1024, 2, guards).expect("a pool");
        fiber(&pool, |_| assert_ne!(overflow(0), 1)).resume(0);
    });
    let text = stderr(&output);
    assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{text}");
    assert!(text.contains("mn: fiber 0 overflowed its stack of 16 KiB; -\n"), "{text}");
}

#[test]
fn an_overflow_is_reported_on_every_carrier() {
    let output = in_child("an_overflow_is_reported_on_every_carrier", || {
        let _reports = report_overflows("here", "-").expect("a stack");
        let mut fiber = fiber(&pool(1), |suspender| {
            suspender.suspend(0);
            black_box(overflow(0));
        });
        fiber.resume(0);
        let carrier = thread::spawn(move || {
            let _reports = report_overflows("there", "-").expect("a stack");
            fiber.resume(0);
        });
        let _ = carrier.join();
    });
    let text = stderr(&output);
    assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{text}");
    assert!(text.contains("here: fiber 0 overflowed its stack of 64 KiB; -\n"), "{text}");
}

#[test]
#[cfg_attr(thread_sanitizer, ignore = "its run-time takes these faults over")]
fn an_overflow_of_a_thread_is_reported_by_the_standard_library() {
    let name = "an_overflow_of_a_thread_is_reported_by_the_standard_library";
    let output = in_child(name, || {
        let carrier = thread::Builder::new().name("deep".into()).spawn(|| {
            let reports = report_overflows("mn", "-").expect("a stack");
            drop(reports);
            black_box(overflow(0));
        });
        let _ = carrier.expect("a thread").join();
    });
    let text = stderr(&output);
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{text}");
    assert!(text.contains("thread 'deep'"), "{text}");
    assert!(text.contains("has overflowed its stack"), "{text}");
    assert!(!text.contains("mn: fiber"), "{text}");
}

#[test]
#[cfg_attr(thread_sanitizer, ignore = "its run-time takes these faults over")]
fn another_fault_in_a_fiber_is_not_called_an_overflow() {
    let output = in_child("another_fault_in_a_fiber_is_not_called_an_overflow", || {
        let _reports = report_overflows("mn", "-").expect("a stack");
        let mut fiber = fiber(&pool(1), |_| {
            let nowhere = black_box(std::ptr::without_provenance_mut::<u8>(64));
            // SAFETY: none; that is the point.
            unsafe { nowhere.write_volatile(1) };
        });
        fiber.resume(0);
    });
    let text = stderr(&output);
    assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{text}");
    assert!(!text.contains("mn: "), "{text}");
}

#[test]
fn a_destructor_that_suspends_in_a_panic_ends_the_process() {
    struct Waits<'a>(&'a Suspender);
    impl Drop for Waits<'_> {
        fn drop(&mut self) {
            self.0.suspend(1);
        }
    }
    let output = in_child("a_destructor_that_suspends_in_a_panic_ends_the_process", || {
        let mut fiber = fiber(&pool(1), |suspender| {
            let _waits = Waits(suspender);
            panic!("the first");
        });
        fiber.resume(0);
    });
    let text = stderr(&output);
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{text}");
    assert!(text.contains("the first") && text.contains("cannot suspend"), "{text}");
}

fn current_alternate_stack() -> (usize, libc::c_int) {
    let mut stack = MaybeUninit::<libc::stack_t>::uninit();
    // SAFETY: the call fills it.
    let stack = unsafe {
        assert_eq!(libc::sigaltstack(std::ptr::null(), stack.as_mut_ptr()), 0);
        stack.assume_init()
    };
    (stack.ss_sp.addr(), stack.ss_flags)
}

#[test]
fn the_alternate_stack_before_is_restored() {
    let before = current_alternate_stack();
    let outer = report_overflows("test", "-").expect("a stack");
    let inner = report_overflows("test", "-").expect("a stack");
    assert_ne!(current_alternate_stack(), before);
    drop(inner);
    drop(outer);
    assert_eq!(current_alternate_stack(), before);
}
