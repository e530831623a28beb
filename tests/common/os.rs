//! The few system calls that the standard library lacks.

use std::io;
use std::mem;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::{AsFd, AsRawFd, FromRawFd as _, OwnedFd, RawFd};
use std::time::Duration;

/// Whether this process is root.
pub fn is_root() -> bool {
    // SAFETY: a call without arguments that cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// Sends a signal to a process.
pub fn signal(pid: u32, signal: i32) {
    let pid = i32::try_from(pid).expect("a process id");
    // SAFETY: `kill` takes two integers and touches no memory of ours.
    let result = unsafe { libc::kill(pid, signal) };
    assert_eq!(result, 0, "kill: {}", io::Error::last_os_error());
}

/// Sends a signal to all processes of a group, as a terminal does.
pub fn signal_group(group: u32, signal: i32) {
    let group = i32::try_from(group).expect("a process id");
    // SAFETY: `killpg` takes two integers and touches no memory of ours.
    let result = unsafe { libc::killpg(group, signal) };
    assert_eq!(result, 0, "killpg: {}", io::Error::last_os_error());
}

/// Sets a socket option whose value is plain data.
fn set_option<T>(socket: impl AsFd, level: i32, name: i32, value: T) -> io::Result<()> {
    let len = mem::size_of::<T>() as libc::socklen_t;
    let socket = socket.as_fd().as_raw_fd();
    // SAFETY: `value` lives through the call and is `len` bytes long.
    let result = unsafe { libc::setsockopt(socket, level, name, (&raw const value).cast(), len) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `SO_LINGER` of zero: closing the socket sends RST instead of FIN.
pub fn reset_on_close(socket: impl AsFd) {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    set_option(socket, libc::SOL_SOCKET, libc::SO_LINGER, linger).expect("SO_LINGER");
}

/// Connects with a receive buffer of about `receive_bytes`: the kernel buffers little on our
/// behalf. It must be set before connecting, because the window is announced then.
pub fn connect_with_window(to: SocketAddr, receive_bytes: i32) -> io::Result<TcpStream> {
    let SocketAddr::V4(to) = to else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    let socket = tcp_socket()?;
    set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, receive_bytes)?;
    connect(&socket, to)?;
    Ok(TcpStream::from(socket))
}

/// Connects from one of this machine's addresses. On Linux the port is chosen when both ends are known,
/// so that every source address has all ports for every destination.
pub fn connect_from(source: Ipv4Addr, to: SocketAddrV4) -> io::Result<TcpStream> {
    let socket = tcp_socket()?;
    #[cfg(target_os = "linux")]
    set_option(&socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)?;
    let (address, len) = raw_address(SocketAddrV4::new(source, 0));
    // SAFETY: `address` lives through the call and is `len` bytes long.
    let result = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), len) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    connect(&socket, to)?;
    Ok(TcpStream::from(socket))
}

fn tcp_socket() -> io::Result<OwnedFd> {
    // SAFETY: `socket` takes integers only.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us, and nothing else owns it.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    set_close_on_exec(&socket, true)?;
    Ok(socket)
}

fn connect(socket: &OwnedFd, to: SocketAddrV4) -> io::Result<()> {
    let (address, len) = raw_address(to);
    // SAFETY: `address` lives through the call and is `len` bytes long.
    let result = unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), len) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn raw_address(of: SocketAddrV4) -> (libc::sockaddr_in, libc::socklen_t) {
    // SAFETY: all bytes zero is a valid `sockaddr_in`.
    let mut address: libc::sockaddr_in = unsafe { mem::zeroed() };
    address.sin_family = libc::AF_INET as libc::sa_family_t;
    address.sin_port = of.port().to_be();
    address.sin_addr.s_addr = u32::from_ne_bytes(of.ip().octets());
    (address, mem::size_of_val(&address) as libc::socklen_t)
}

/// Sets whether a descriptor is closed on exec.
pub fn set_close_on_exec(fd: impl AsFd, on: bool) -> io::Result<()> {
    let flags = if on { libc::FD_CLOEXEC } else { 0 };
    // SAFETY: `fcntl` with F_SETFD takes integers only.
    let result = unsafe { libc::fcntl(fd.as_fd().as_raw_fd(), libc::F_SETFD, flags) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes `target` a copy of `fd` that survives `exec`. For use between fork and exec.
pub fn duplicate_to(fd: RawFd, target: RawFd) -> io::Result<()> {
    if fd == target {
        // SAFETY: `fcntl` with F_SETFD takes integers only.
        let result = unsafe { libc::fcntl(fd, libc::F_SETFD, 0) };
        return if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    }
    // SAFETY: `dup2` takes integers only; in the forked child nothing else uses `target`.
    let result = unsafe { libc::dup2(fd, target) };
    if result == target { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes a system call fail in this process and its children, as if the kernel did not know it
/// (`seccomp(2)`). For use between fork and exec.
#[cfg(target_os = "linux")]
pub fn unlearn(call: libc::c_long) -> io::Result<()> {
    let step = |code: u32, jt, k| libc::sock_filter { code: code as u16, jt, jf: 0, k };
    let mut steps = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0), // the call's number
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 1, call as u32),
        step(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
        step(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
    ];
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    // SAFETY: the program and its steps live through the calls.
    let result = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            | libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Bind-mounts a file over another one, for this process and its children only: in a mount
/// namespace of their own. Needs root. For use between fork and exec.
#[cfg(target_os = "linux")]
pub fn put_in_place(file: &std::ffi::CStr, of: &std::ffi::CStr) -> io::Result<()> {
    let (none, root) = (std::ptr::null(), c"/".as_ptr());
    // SAFETY: all texts end in NUL and live through the calls.
    let result = unsafe {
        libc::unshare(libc::CLONE_NEWNS)
            | libc::mount(none, root, none, libc::MS_REC | libc::MS_PRIVATE, none.cast())
            | libc::mount(file.as_ptr(), of.as_ptr(), none, libc::MS_BIND, none.cast())
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The children of a process.
pub fn children(pid: u32) -> std::collections::BTreeSet<u32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let text = text.expect("its children");
    text.split_whitespace().map(|pid| pid.parse().expect("a number")).collect()
}

/// A pipe without room. Its writer is blocking, as those are that servers inherit.
pub fn full_pipe() -> (io::PipeReader, io::PipeWriter) {
    let (reader, writer) = io::pipe().expect("a pipe");
    let mode = |flags: libc::c_int| {
        // SAFETY: takes no pointer; a descriptor of ours, which has no other flags to keep.
        let set = unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETFL, flags) };
        assert_eq!(set, 0, "fcntl: {}", io::Error::last_os_error());
    };
    mode(libc::O_NONBLOCK);
    // Byte by byte in the end: there may be room that is too little for a part of some size.
    for size in [libc::PIPE_BUF, 1] {
        let filler = vec![b'x'; size];
        while io::Write::write(&mut &writer, &filler).is_ok() {}
    }
    mode(0);
    (reader, writer)
}

/// Makes a named pipe.
pub fn make_fifo(path: &std::path::Path) {
    use std::os::unix::ffi::OsStrExt as _;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes()).expect("a path without NUL");
    // SAFETY: `path` is a C string that lives through the call.
    let result = unsafe { libc::mkfifo(path.as_ptr(), 0o644) };
    assert_eq!(result, 0, "mkfifo: {}", io::Error::last_os_error());
}

/// Raises this process's limit on open descriptors to the maximum; returns it.
#[allow(clippy::useless_conversion)] // `rlim_t` is signed on FreeBSD
pub fn raise_descriptor_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is valid for writes.
    let got = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    assert_eq!(got, 0, "getrlimit: {}", io::Error::last_os_error());
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is a valid limit that lives through the call.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    assert_eq!(set, 0, "setrlimit: {}", io::Error::last_os_error());
    u64::try_from(limit.rlim_cur).expect("a limit above zero")
}

/// Bounds the processes of this process's user (`RLIMIT_NPROC`); of no effect on root. For use
/// between fork and exec.
pub fn limit_processes(count: u32) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: count.into(), rlim_max: count.into() };
    // SAFETY: `limit` is a valid limit that lives through the call.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NPROC, &raw const limit) };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Clock ticks a second, the unit of CPU times in /proc.
pub fn ticks_per_second() -> f64 {
    // SAFETY: `sysconf` takes an integer only.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    ticks as f64
}

/// Whether something can be read within `time`: data, the end, or an error.
pub fn readable_within(fd: impl AsFd, time: Duration) -> bool {
    let mut poll = libc::pollfd { fd: fd.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let timeout_ms = i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
    loop {
        // SAFETY: `poll` is one valid `pollfd`, and the count passed is 1.
        let ready = unsafe { libc::poll(&raw mut poll, 1, timeout_ms) };
        // Never restarted (signal(7)): waits once more, at worst for longer than asked.
        if ready >= 0 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return ready > 0;
        }
    }
}

/// Evicts a file from the kernel's page cache, once all of it is on the disk.
#[cfg(target_os = "linux")]
pub fn forget_pages(file: &std::fs::File) {
    file.sync_all().expect("fsync");
    // SAFETY: `posix_fadvise` takes integers only.
    unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
}

/// Pages of a file that are in memory, by mincore(2): it is accurate for one's own files, and reads
/// nothing.
#[cfg(target_os = "linux")]
pub fn pages_in_memory(file: &std::fs::File) -> usize {
    let len = file.metadata().expect("its length").len() as usize;
    let (prot, kind) = (libc::PROT_READ, libc::MAP_SHARED);
    // SAFETY: a new mapping, which is never accessed.
    let map = unsafe { libc::mmap(std::ptr::null_mut(), len, prot, kind, file.as_raw_fd(), 0) };
    assert_ne!(map, libc::MAP_FAILED, "mmap: {}", io::Error::last_os_error());
    // A byte for each page, and pages are not smaller than this.
    let mut pages = vec![0u8; len.div_ceil(4096)];
    // SAFETY: `map` is a mapping of `len` bytes, `pages` has a byte for each of its pages.
    let result = unsafe { libc::mincore(map, len, pages.as_mut_ptr()) };
    assert_eq!(result, 0, "mincore: {}", io::Error::last_os_error());
    // SAFETY: it was mapped above, and there is no reference into it.
    unsafe { libc::munmap(map, len) };
    pages.iter().filter(|&&page| page & 1 == 1).count()
}
