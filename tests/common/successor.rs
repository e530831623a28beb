//! Upgrades: a binary that can be replaced while it runs, and the process that takes over.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::processes::is_alive;
use super::{Server, os, until};

/// A copy of a command's binary in `folder`, with the same arguments: the file at its path can be
/// replaced.
pub fn copied(command: &Command, folder: &Path) -> (Command, PathBuf) {
    let path = folder.join("server");
    // By another process: a child that this one starts at that moment would hold the copy open for
    // writing until it execs, and a file that is being written cannot be executed (ETXTBSY).
    let copied = Command::new("cp").arg(command.get_program()).arg(&path).status();
    assert!(copied.expect("cp(1)").success(), "a copy of the binary");
    let mut copy = super::server::binary(path.to_str().expect("UTF-8"));
    copy.args(command.get_args());
    (copy, path)
}

/// Puts a program that fails at once in a binary's place.
pub fn spoil(path: &Path) {
    let new = path.with_extension("new");
    std::os::unix::fs::symlink("/bin/false", &new).expect("a link");
    // A file that is being executed cannot be written, but it can be renamed over.
    fs::rename(new, path).expect("another program in its place");
}

/// Puts a file that is executable, but no program, in a binary's place.
pub fn damage(path: &Path, text: &str) {
    let (text_file, new) = (path.with_extension("text"), path.with_extension("new"));
    fs::write(&text_file, text).expect("a damaged program");
    fs::set_permissions(&text_file, PermissionsExt::from_mode(0o755)).expect("permissions");
    // By another process, for the same reason as above.
    let copied = Command::new("cp").args(["-p".as_ref(), &*text_file, &*new]).status();
    assert!(copied.expect("cp(1)").success(), "a copy of it");
    fs::rename(new, path).expect("another file in its place");
}

/// A process that has taken over from a server, and is not our child; it is killed when dropped.
pub struct Successor {
    pid: u32,
}

impl Successor {
    /// Upgrades a server, and waits until the new process serves.
    #[track_caller]
    pub fn of(server: &Server) -> Self {
        Successor::after(server.pid(), server)
    }

    /// Upgrades this one, and waits until the next one serves and this one has finished. All of
    /// them write to the standard error of `server`, the first.
    #[track_caller]
    pub fn upgraded(self, server: &Server) -> Self {
        let next = Successor::after(self.pid, server);
        until("the predecessor's end", || !is_alive(self.pid));
        next
    }

    fn after(pid: u32, server: &Server) -> Self {
        const SERVES: &str = "serves; this one is finishing";
        let said = || server.stderr().matches(SERVES).count();
        let before = said();
        os::signal(pid, libc::SIGUSR2);
        until("the successor serves", || said() > before);
        let said = server.stderr();
        let (_, rest) =
            said.rsplit_once("started the new program as process ").expect("its number");
        let pid = rest.lines().next().and_then(|pid| pid.parse().ok()).expect("a number");
        Successor { pid }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Asks it to stop, and waits until it is gone or only awaits reaping.
    #[track_caller]
    pub fn stop(self) {
        os::signal(self.pid, libc::SIGTERM);
        until("the successor's end", || !is_alive(self.pid));
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        if is_alive(self.pid) {
            os::signal(self.pid, libc::SIGKILL);
        }
    }
}
