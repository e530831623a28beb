//! Operating a server: the user it runs as.

#![cfg(target_os = "linux")]

mod common;

use std::ffi::CString;
use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use common::server::{binary, has_master, models, sped};
use common::{Client, Server, get, os};

/// The user and group `nobody`, as a rule.
const USER: u32 = 54321;

/// The numbers of a line of the process's status: real, effective, saved, and for files.
fn numbers(pid: u32, line: &str) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("the server's status");
    let line = text.lines().find_map(|found| found.strip_prefix(line)).expect("a line");
    line.split_whitespace().map(|number| number.parse().expect("a number")).collect()
}

#[test]
fn privileges_are_dropped_permanently_before_serving() {
    if !os::is_root() {
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
        // It reopens the log as the user that it is now.
        server.signal(libc::SIGHUP);
        assert_eq!(server.exchange(&get("/plaintext")).status, 200);
        assert!(server.stop().success());
        assert!(!server.stderr().contains("reopened"), "{}", server.stderr());
    }
    let lines = fs::read_to_string(&log).expect("the log").lines().count();
    assert_eq!(lines, 4);
}

/// The serving process: the server itself or, where there is a master, a worker.
fn serving(server: &Server) -> u32 {
    os::children(server.pid()).first().copied().unwrap_or(server.pid())
}

/// The command with a user database of its own: `stampeder` (54321), whose group is 54322, and who
/// is also in 54400 and 54401; no other users. `None`: not possible here.
fn with_users(mut command: Command, folder: &Path) -> Option<Command> {
    let place = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).expect("a database");
        CString::new(path.into_os_string().into_vec()).expect("a path without NUL")
    };
    let users =
        place("passwd", "root:x:0:0::/:\nstampeder:x:54321:54322::/:\nother:x:54399:54322::/:\n");
    let groups = "root:x:0:\nown:x:54322:\none:x:54400:stampeder\ntwo:x:54401:other,stampeder\n\
                  third:x:54402:other\n";
    let groups = place("group", groups);
    let prepare = move || {
        os::put_in_place(&users, c"/etc/passwd")?;
        os::put_in_place(&groups, c"/etc/group")
    };
    let mut probe = Command::new("true");
    // SAFETY: between fork and exec the closure makes system calls and allocates nothing.
    unsafe { probe.pre_exec(prepare.clone()) };
    if let Err(error) = probe.status() {
        println!("SKIPPED: groups of a user (no user database of our own: {error})");
        return None;
    }
    // SAFETY: as above.
    unsafe { command.pre_exec(prepare) };
    Some(command)
}

#[test]
fn a_user_has_all_its_groups_or_only_the_named_one() {
    let folder = tempfile::tempdir().expect("a directory");
    for (name, arguments, expected) in [
        ("a name", &["--user", "stampeder"][..], &[USER, USER + 1, 54400, 54401][..]),
        ("a number", &["--user", "54321"], &[USER, USER + 1, 54400, 54401]),
        ("a group beside it", &["--user", "stampeder", "--group", "third"], &[USER, 54402]),
        ("an unknown number", &["--user", "54777", "--group", "one"], &[54777, 54400]),
    ] {
        for (model, mut command) in models() {
            command.args(["--listen", "127.0.0.1:0", "--demo"]).args(arguments);
            let Some(command) = with_users(command, folder.path()) else { return };
            let server = Server::spawn(command);
            let pid = serving(&server);
            assert_eq!(numbers(pid, "Uid:"), [expected[0]; 4], "{model}: {name}");
            assert_eq!(numbers(pid, "Gid:"), [expected[1]; 4], "{model}: {name}");
            assert_eq!(numbers(pid, "Groups:"), expected[1..], "{model}: {name}");
            assert_eq!(numbers(server.pid(), "Uid:")[0] == 0, has_master(model));
            assert_eq!(server.exchange(&get("/plaintext")).status, 200);
        }
    }
}

#[test]
fn a_user_without_a_group_is_refused() {
    for (model, mut command) in models() {
        let output = command.args(["--user", "3999999999"]).output().expect("running it");
        let text = String::from_utf8(output.stderr).expect("UTF-8");
        let why = "the system has no group for that number; add --group\n";
        assert_eq!(text, format!("{model}: --user: {why}"));
    }
}

#[test]
fn an_error_is_one_line() {
    let output = sped().args(["--user", "nobody-of-that-name"]).output().expect("running sped");
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(
        text.trim_end(),
        "sped: --user nobody-of-that-name: no such user; expected the name or number of a user"
    );
}

/// What it says finds no reader: the log cannot be opened again, and nobody hears of it.
#[test]
fn a_server_whose_words_nobody_reads_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let logs = folder.path().join("logs");
    for (_, mut command) in models() {
        fs::create_dir(&logs).expect("a folder for logs");
        let (reader, writer) = io::pipe().expect("a pipe");
        command.args(["--listen", "127.0.0.1:0", "--access-log", "common", "--log-file"]);
        let mut child = command.arg(logs.join("log")).stderr(writer).spawn().expect("a server");
        drop(command);
        let mut line = String::new();
        BufReader::new(reader).read_line(&mut line).expect("a line");
        let (_, address) = line.trim_end().split_once("http://").expect("an address");
        fs::remove_dir_all(&logs).expect("removing the logs");
        os::signal(child.id(), libc::SIGHUP);
        let mut client = Client::connect(address.parse().expect("an address"));
        assert_eq!(client.get("/plaintext").status, 200);
        os::signal(child.id(), libc::SIGTERM);
        assert!(child.wait().expect("its end").success());
    }
}

#[test]
fn a_file_that_is_no_program_is_not_run_by_a_shell_in_place_of_the_server() {
    let folder = tempfile::tempdir().expect("a folder");
    for (model, mut command) in models() {
        command.args(["--listen", "127.0.0.1:0", "--demo"]);
        let (command, path) = common::successor::copied(&command, folder.path());
        let mut server = Server::spawn(command);
        let trace = folder.path().join("run");
        common::successor::damage(&path, &format!("echo run >{}\n", trace.display()));
        server.signal(libc::SIGUSR2);
        common::until("its failure", || server.stderr().contains("upgrade failed: "));
        let text = server.stderr();
        let why = "Exec format error (os error 8); is the file damaged, or for another kind of \
                   machine?; this process continues to serve\n";
        assert!(text.ends_with(why), "{model}: {text}");
        assert_eq!(server.exchange(&get("/plaintext")).status, 200, "{model}");
        assert!(server.stop().success(), "{model}");
        assert!(!trace.exists(), "{model}");
    }
}
