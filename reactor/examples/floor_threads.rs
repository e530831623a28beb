//! The floor of a thread per connection: accepts, and starts a thread that serves the connection.
//!
//! One recv(2) and one send(2) per request, both blocking. Its response and its command line are in
//! `floors/mod.rs`. Threads are created by pthread_create(3): std's take eight more system calls
//! each, most of them for an alternate stack that reports overflows.

#[cfg(target_os = "linux")]
mod floors;

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("the floors need Linux's accept4(2) and sendfile(2)");
}

#[cfg(target_os = "linux")]
fn main() -> std::io::Result<()> {
    threads::main()
}

#[cfg(target_os = "linux")]
mod threads {
    use super::floors::{self, Floor};
    use std::ffi::c_void;
    use std::mem::MaybeUninit;
    use std::sync::OnceLock;
    use std::{io, ptr};

    /// Includes the input buffer.
    const STACK_BYTES: usize = 64 * 1024;
    const INPUT_BYTES: usize = floors::input_bytes(4 * 1024);

    static FLOOR: OnceLock<Floor> = OnceLock::new();

    pub fn main() -> io::Result<()> {
        let floor = Floor::new(false)?;
        let floor = FLOOR.get_or_init(|| floor);
        let attributes = attributes()?;
        loop {
            let Some(fd) = floors::accept(floor, 0) else { continue };
            let mut thread = MaybeUninit::uninit();
            let argument = ptr::without_provenance_mut(fd as usize);
            // SAFETY: the attributes are initialised, and `serve` takes what is passed to it.
            let code =
                unsafe { libc::pthread_create(thread.as_mut_ptr(), &attributes, serve, argument) };
            if code != 0 {
                floors::close(fd); // no room for one more thread
            }
        }
    }

    /// A small stack, and a detached thread.
    fn attributes() -> io::Result<libc::pthread_attr_t> {
        let mut attributes = MaybeUninit::uninit();
        let check = |code| match code {
            0 => Ok(()),
            code => Err(io::Error::from_raw_os_error(code)),
        };
        // SAFETY: there is room for the attributes, which are initialised first.
        unsafe {
            check(libc::pthread_attr_init(attributes.as_mut_ptr()))?;
            check(libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), STACK_BYTES))?;
            let detached = libc::PTHREAD_CREATE_DETACHED;
            check(libc::pthread_attr_setdetachstate(attributes.as_mut_ptr(), detached))?;
            Ok(attributes.assume_init())
        }
    }

    extern "C" fn serve(argument: *mut c_void) -> *mut c_void {
        let floor = FLOOR.get().expect("set before the first thread");
        floors::serve_blocking(floor, argument.addr() as i32, &mut [0; INPUT_BYTES]);
        ptr::null_mut()
    }
}
