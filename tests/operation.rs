//! A server that is run in earnest: as whom.

mod common;

use std::fs;

use common::server::{binary, sped};
use common::{Server, get};

/// Nobody's, as a rule: user and group of nobody in particular.
const USER: u32 = 54321;

/// The numbers of a line of the process's status: real, effective, saved, and for files.
fn numbers(pid: u32, line: &str) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("the server's status");
    let line = text.lines().find_map(|found| found.strip_prefix(line)).expect("a line");
    line.split_whitespace().map(|number| number.parse().expect("a number")).collect()
}

#[test]
fn privileges_are_given_up_for_good_before_serving() {
    if !common::os::is_root() {
        println!("skipped: giving up privileges (there are none: this is not root)");
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let log = folder.path().join("log");
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("permissions");
    for path in [env!("CARGO_BIN_EXE_sped"), env!("CARGO_BIN_EXE_amped")] {
        let mut command = binary(path);
        command.args(["--listen", "127.0.0.1:0", "--demo", "--user", "54321", "--group", "54322"]);
        command.args(["--access-log", "common", "--log-file"]).arg(&log);
        let mut server = Server::spawn(command);
        assert_eq!(numbers(server.pid(), "Uid:"), [USER; 4]);
        assert_eq!(numbers(server.pid(), "Gid:"), [USER + 1; 4]);
        assert_eq!(numbers(server.pid(), "Groups:"), [USER + 1]);
        assert_eq!(server.exchange(&get("/plaintext")).status, 200);
        // It opens the log again as the user that it is now.
        server.signal(libc::SIGHUP);
        assert_eq!(server.exchange(&get("/plaintext")).status, 200);
        assert!(server.stop().success());
        assert!(!server.stderr().contains("reopened"), "{}", server.stderr());
    }
    let lines = fs::read_to_string(&log).expect("the log").lines().count();
    assert_eq!(lines, 4);
}

#[test]
fn what_cannot_be_had_is_said_in_one_line() {
    let output = sped().args(["--user", "nobody-of-that-name"]).output().expect("running sped");
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(
        text.trim_end(),
        "sped: --user \"nobody-of-that-name\": there is no such user. \
         Name a user of this system, or write its number."
    );
}
