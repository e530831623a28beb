//! The floor of the iterative model: accepts a connection and serves it to its end before the next.
//!
//! One thread, one recv(2) and one send(2) per request, both blocking. Its response and its command
//! line are in `floors/mod.rs`.

#[cfg(target_os = "linux")]
mod floors;

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("the floors need Linux's accept4(2) and sendfile(2)");
}

#[cfg(target_os = "linux")]
fn main() -> std::io::Result<()> {
    let floor = floors::Floor::new(false)?;
    let mut input = vec![0; floors::input_bytes(64 * 1024)];
    loop {
        if let Some(fd) = floors::accept(&floor, 0) {
            floors::serve_blocking(&floor, fd, &mut input);
        }
    }
}
