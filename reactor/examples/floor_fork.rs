//! The floor of a process per connection: accepts, and forks a child that serves the connection.
//!
//! One recv(2) and one send(2) per request in the child, both blocking; the parent closes its copy
//! of the socket, and a handler of SIGCHLD waits for children that have ended: Stevens' server. Its
//! response and its command line are in `floors/mod.rs`.

#[cfg(target_os = "linux")]
mod floors;

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("the floors need Linux's accept4(2) and sendfile(2)");
}

#[cfg(target_os = "linux")]
fn main() -> std::io::Result<()> {
    fork::main()
}

#[cfg(target_os = "linux")]
mod fork {
    use super::floors::{self, Floor, check};
    use std::mem::MaybeUninit;
    use std::os::fd::AsRawFd;
    use std::{io, ptr};

    const INPUT_BYTES: usize = floors::input_bytes(4 * 1024);

    pub fn main() -> io::Result<()> {
        let floor = Floor::new(false)?;
        reap_by_signal()?;
        loop {
            let Some(fd) = floors::accept(&floor, 0) else { continue };
            // SAFETY: takes no pointer, and there is one thread.
            if unsafe { libc::fork() } == 0 {
                floors::close(floor.listener.as_raw_fd());
                floors::serve_blocking(&floor, fd, &mut [0; INPUT_BYTES]);
                // SAFETY: ends the copy without running anything of the original's.
                unsafe { libc::_exit(0) };
            }
            // Also where there was no room for one more process.
            floors::close(fd);
        }
    }

    fn reap_by_signal() -> io::Result<()> {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: a zeroed action is valid, and the handler is set to one that does nothing but what
        // signal-safety(7) allows; it is read during the call.
        check(unsafe {
            let action = action.assume_init_mut();
            action.sa_flags = libc::SA_RESTART | libc::SA_NOCLDSTOP;
            action.sa_sigaction = reap as extern "C" fn(i32) as usize;
            libc::sigaction(libc::SIGCHLD, action, ptr::null_mut())
        })?;
        Ok(())
    }

    /// The signals of several children may have merged into one.
    extern "C" fn reap(_signal: i32) {
        // SAFETY: the status is not wanted. What is interrupted, accept4(2), is simply repeated: so
        // it does not matter that errno changes.
        while unsafe { libc::waitpid(-1, ptr::null_mut(), libc::WNOHANG) } > 0 {}
    }
}
