//! What becomes of a kqueue in a forked child, which does not inherit it.

use std::io::Read as _;
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::process_fd::ProcessFd;
use super::*;

/// A kqueue whose descriptor a forked child does not have.
struct NotInherited {
    fd: ProcessFd,
    model: Model,
    calls: AtomicUsize,
}

impl Kernel for NotInherited {
    type Raw = Kevent;

    fn kqueue() -> io::Result<Self> {
        let fd = ProcessFd::new(std::fs::File::open("/dev/null")?.into());
        Ok(NotInherited { fd, model: Model::default(), calls: AtomicUsize::new(0) })
    }

    fn kevent(
        &self,
        changes: &[Kevent],
        events: &mut [Kevent],
        timeout: Option<Duration>,
    ) -> io::Result<usize> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.model.kevent(changes, events, timeout)
    }

    fn is_ours(&self) -> bool {
        self.fd.is_ours()
    }
}

fn is_open(fd: RawFd) -> bool {
    // SAFETY: takes no pointer.
    unsafe { libc::fcntl(fd, libc::F_GETFD) != -1 }
}

/// Whether it returns true in a forked child, which then exits.
fn in_child(body: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child takes no lock but the allocator's, which the C library takes care of, and
    // exits without running anything of the parent's.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: as above.
        unsafe { libc::_exit(i32::from(!body())) };
    }
    let mut status = -1;
    // SAFETY: our own child; `status` is written during the call.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, 0) };
    waited == pid && status == 0
}

#[test]
fn a_forked_child_leaves_what_it_did_not_inherit_alone() {
    // First the number is free in the child, then it is another descriptor's.
    for is_used_again in [false, true] {
        let queue = Queue::<NotInherited>::new().unwrap();
        let wake = Wake::new(&queue, TOKEN).unwrap();
        let number = queue.kernel.fd.as_fd().as_raw_fd();
        let kernel = queue.kernel.clone();
        let calls = kernel.calls.load(Ordering::Relaxed);
        let (queue_there, wake_there) = (queue, wake);
        assert!(in_child(|| {
            // SAFETY: what kqueue(2) says of a fork, with the number of a real descriptor; nothing
            // in the child uses it as the one that it was.
            let moved = unsafe {
                libc::close(number);
                !is_used_again || libc::dup2(2, number) == number
            };
            drop((wake_there, queue_there));
            moved
                && is_open(number) == is_used_again
                && Arc::into_inner(kernel).is_some_and(|kernel| {
                    let same = kernel.calls.load(Ordering::Relaxed) == calls;
                    drop(kernel);
                    same && is_open(number) == is_used_again
                })
        }));
    }
}

#[test]
fn the_process_that_made_it_closes_it() {
    let (mut here, there) = std::os::unix::net::UnixStream::pair().unwrap();
    let there = ProcessFd::new(there.into());
    assert!(there.is_ours());
    drop(there);
    // Until no child of another test has a copy any more.
    assert_eq!(here.read(&mut [0]).unwrap(), 0);
}
