//! The floor of a pool of processes: each accepts from the shared listener, and serves a connection
//! to its end before the next.
//!
//! One recv(2) and one send(2) per request, and accept4(2), all blocking: the kernel wakes one
//! process for each connection. Its response and its command line are in `floors/mod.rs`.

#[cfg(target_os = "linux")]
mod floors;

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("the floors need Linux's accept4(2) and sendfile(2)");
}

#[cfg(target_os = "linux")]
fn main() -> std::io::Result<()> {
    let floor = floors::Floor::new(false)?;
    for _ in 0..floor.processes {
        // SAFETY: there is one thread, so the child may go on with everything.
        if floors::check(unsafe { libc::fork() })? == 0 {
            // SAFETY: takes no pointer.
            floors::check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })?;
            serve(&floor);
        }
    }
    loop {
        // SAFETY: takes no pointer.
        unsafe { libc::pause() };
    }
}

#[cfg(target_os = "linux")]
fn serve(floor: &floors::Floor) -> ! {
    let mut input = vec![0; floors::input_bytes(64 * 1024)];
    loop {
        if let Some(fd) = floors::accept(floor, 0) {
            floors::serve_blocking(floor, fd, &mut input);
        }
    }
}
