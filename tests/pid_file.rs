//! `--pid-file`, under every model: it names the process to signal, and one server at a time.

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use common::server::{has_master, models};
use common::successor::{Successor, copied, spoil};
use common::{Server, get, until};

/// A directory, and the pid file's path in it.
fn place() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("pid");
    (folder, path)
}

/// The command of a server with a PID file.
fn with_pid_file(mut command: Command, path: &Path) -> Command {
    command.args(["--demo", "--listen", "127.0.0.1:0", "--pid-file"]).arg(path);
    command
}

/// The PID in a PID file.
fn named(path: &Path) -> u32 {
    let text = fs::read_to_string(path).expect("the pid file");
    text.strip_suffix('\n').and_then(|pid| pid.parse().ok()).expect("a number and a newline")
}

fn names_in(folder: &Path) -> usize {
    fs::read_dir(folder).expect("the directory").count()
}

#[test]
fn it_names_the_process_to_signal_and_is_removed_with_it() {
    for (_, command) in models() {
        let (folder, path) = place();
        let mut server = Server::spawn(with_pid_file(command, &path));
        assert_eq!(named(&path), server.pid());
        assert_eq!(fs::metadata(&path).expect("the pid file").mode() & 0o777, 0o644);
        // Workers that start and end leave it alone.
        server.signal(libc::SIGHUP);
        assert_eq!(server.exchange(&get("/plaintext")).status, 200);
        assert!(server.stop().success());
        assert_eq!(names_in(folder.path()), 0);
    }
}

#[test]
fn a_second_server_is_refused_with_the_number_of_the_first() {
    for (name, command) in models() {
        let (folder, path) = place();
        let server = Server::spawn(with_pid_file(command, &path));
        for (other, command) in models() {
            let output = with_pid_file(command, &path).output().expect("running it");
            assert_eq!(output.status.code(), Some(1), "{name}, {other}");
            let text = String::from_utf8(output.stderr).expect("UTF-8");
            let pid = server.pid();
            let expected = format!(
                "{other}: --pid-file {}: process {pid} holds it; \
                 stop that server first, or name another file\n",
                path.display()
            );
            assert_eq!(text, expected);
        }
        assert_eq!((named(&path), names_in(folder.path())), (server.pid(), 1));
    }
}

#[test]
fn an_unusable_path_is_reported_in_one_line() {
    let (folder, path) = place();
    fs::write(&path, "precious").expect("a file");
    for (name, command) in models() {
        let output = with_pid_file(command, &path).output().expect("running it");
        let text = String::from_utf8(output.stderr).expect("UTF-8");
        let expected = "not a pid file; name another file\n";
        assert_eq!(text, format!("{name}: --pid-file {}: {expected}", path.display()));
    }
    for (name, mut command) in models() {
        let output = command.args(["--pid-file", "/"]).output().expect("running it");
        let text = String::from_utf8(output.stderr).expect("UTF-8");
        let expected = "missing file name; expected a path such as /run/stampede/pid\n";
        assert_eq!(text, format!("{name}: --pid-file /: {expected}"));
    }
    assert_eq!(fs::read_to_string(&path).expect("the file"), "precious");
    assert_eq!(names_in(folder.path()), 1);
}

#[test]
fn a_crashed_servers_is_taken_over() {
    for (_, command) in models() {
        let (_folder, path) = place();
        let server = Server::spawn(with_pid_file(command, &path));
        let crashed = server.pid();
        drop(server); // killed
        assert_eq!(named(&path), crashed);
        for (_, command) in models() {
            let mut next = Server::spawn(with_pid_file(command, &path));
            assert_eq!(named(&path), next.pid());
            assert!(next.stop().success());
            assert!(!path.exists());
        }
    }
}

#[test]
fn during_an_upgrade_it_names_the_serving_process() {
    for (_, command) in models() {
        let (folder, path) = place();
        let mut old = Server::spawn(with_pid_file(command, &path));
        let new = Successor::of(&old);
        assert_eq!(named(&path), new.pid());
        assert!(old.wait().success());
        assert_eq!(named(&path), new.pid(), "the old one's end leaves it");
        let third = with_pid_file(common::server::sped(), &path).output().expect("running it");
        let text = String::from_utf8(third.stderr).expect("UTF-8");
        assert!(text.contains(&format!("process {} holds it", new.pid())), "{text}");
        new.stop();
        assert_eq!(names_in(folder.path()), 0);
    }
}

#[test]
fn a_failed_upgrade_leaves_it_unchanged() {
    for (name, command) in models() {
        let (folder, path) = place();
        let (command, binary) = copied(&with_pid_file(command, &path), folder.path());
        let mut server = Server::spawn(command);
        let inode = fs::metadata(&path).expect("the pid file").ino();
        spoil(&binary);
        server.signal(libc::SIGUSR2);
        until("it says so", || server.stderr().contains("upgrade failed"));
        assert_eq!(named(&path), server.pid(), "{name}");
        assert_eq!(fs::metadata(&path).expect("the pid file").ino(), inode);
        assert_eq!(server.exchange(&get("/plaintext")).status, 200);
        assert!(server.stop().success());
        assert!(!path.exists());
    }
}

/// Where the server's user may not write, nothing can be removed or replaced: an existing file can
/// be changed all the same.
#[test]
fn without_permission_to_remove_it_it_is_emptied() {
    if !common::os::is_root() {
        return println!("skipped: giving up privileges (there are none: this is not root)");
    }
    for (name, mut command) in models() {
        let (folder, path) = place();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("mode");
        chown(folder.path(), Some(0), Some(0)).expect("root's directory");
        command.args(["--user", "54321", "--group", "54321"]);
        // That user may not be able to reach the tests' binary.
        let (command, _) = copied(&with_pid_file(command, &path), folder.path());
        let mut old = Server::spawn(command);
        let new = Successor::of(&old);
        assert!(old.wait().success());
        assert_eq!(named(&path), new.pid());
        new.stop();
        // The master remains root and removes it.
        assert_eq!(path.exists(), !has_master(name));
        if !has_master(name) {
            assert_eq!(fs::read_to_string(&path).expect("the pid file"), "");
            until("it is said", || old.stderr().contains("behind, empty: Permission denied"));
        }
    }
}
