//! Where a server listens, and its messages and exit status when it cannot, or need not.

mod common;

use std::io::ErrorKind;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output};

use common::server::sped;
use common::{Client, Server, get, os, until};

/// Runs it to its end.
fn run(arguments: &[&str]) -> Output {
    sped().args(arguments).output().expect("running sped")
}

/// Its one line on standard error, when it refuses to start.
#[track_caller]
fn refusal(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stderr.clone()).expect("UTF-8");
    assert!(text.starts_with("sped: "), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    text
}

/// The arguments of a shell that execs `sped`, with its PID in LISTEN_PID.
fn activated(descriptors: usize) -> Command {
    let mut command = Command::new("sh");
    let script = format!("LISTEN_FDS={descriptors} LISTEN_PID=$$ exec \"$0\" \"$@\"");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_sped"), "--demo"]);
    command
}

/// Passes a socket to the command as descriptor `number`.
fn pass(command: &mut Command, socket: &OwnedFd, number: i32) {
    let socket = socket.as_raw_fd();
    // SAFETY: between fork and exec the closure makes one system call and allocates nothing.
    unsafe {
        command.pre_exec(move || os::duplicate_to(socket, number));
    }
}

#[test]
fn every_listener_serves() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("socket");
    let unix = format!("unix:{}", path.display());
    let mut command = sped();
    command.args(["--demo", "--listen", "127.0.0.1:0", "--listen", "127.0.0.2:0"]);
    command.args(["--listen", &unix]);
    let mut server = Server::spawn_listening(command, 3);
    let addresses = server.addresses().to_vec();
    assert_ne!(addresses[0], addresses[1]);
    assert!(addresses[2].contains(path.to_str().expect("UTF-8")), "{addresses:?}");
    for address in &addresses[..2] {
        let address = address.strip_prefix("http://").expect("an http address");
        let mut client = Client::connect(address.parse().expect("an address"));
        assert_eq!(client.get("/plaintext").text(), "Hello, World!");
    }
    let mut client = Client::connect_unix(&path);
    client.send(&get("/plaintext").repeat(3));
    for _ in 0..3 {
        assert_eq!(client.response().text(), "Hello, World!");
    }
    assert_eq!(server.stop().code(), Some(0));
    assert!(!path.exists(), "the socket's file is left behind");
}

/// Whether this machine has the loopback address of IPv6.
fn has_ipv6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}

#[test]
fn ipv6_addresses_serve() {
    if !has_ipv6() {
        println!("skipped: IPv6 (this machine has none)");
        return;
    }
    let mut command = sped();
    command.args(["--demo", "--listen", "[::1]:0"]);
    let server = Server::spawn(command);
    assert!(server.addresses()[0].starts_with("http://[::1]:"));
    assert_eq!(server.get("/plaintext").text(), "Hello, World!");
    // All addresses of the machine: both families, one socket.
    let mut command = sped();
    command.args(["--demo", "--listen", "[::]:0"]);
    let server = Server::spawn(command);
    let said = server.addresses()[0].clone();
    let mut digits = said.split(|c: char| !c.is_ascii_digit());
    let port = digits.rfind(|digits| digits.len() > 2).expect("a port");
    for address in [format!("127.0.0.1:{port}"), format!("[::1]:{port}")] {
        let mut client = Client::connect(address.parse().expect("an address"));
        assert_eq!(client.get("/plaintext").status, 200, "{address}");
    }
}

#[test]
fn an_inherited_socket_is_listened_on() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = listener.local_addr().expect("its address");
    let listener = OwnedFd::from(listener);
    let mut command = sped();
    command.args(["--demo", "--listen", "fd:7"]);
    pass(&mut command, &listener, 7);
    let server = Server::spawn(command);
    assert_eq!(server.address(), address);
    assert_eq!(server.get("/plaintext").text(), "Hello, World!");
}

#[test]
fn sockets_of_systemd_are_listened_on() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("socket");
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = tcp.local_addr().expect("its address");
    let unix = UnixListener::bind(&path).expect("a listener");
    let (tcp, unix) = (OwnedFd::from(tcp), OwnedFd::from(unix));
    let mut command = activated(2);
    pass_both(&mut command, &tcp, &unix);
    let mut server = Server::spawn_listening(command, 2);
    drop((tcp, unix));
    assert_eq!(Client::connect(address).get("/plaintext").text(), "Hello, World!");
    assert_eq!(Client::connect_unix(&path).get("/plaintext").text(), "Hello, World!");
    assert_eq!(server.stop().code(), Some(0));
    assert!(path.exists(), "the file is systemd's, not ours");
}

#[test]
fn unused_sockets_of_systemd_are_closed_and_named() {
    let folder = tempfile::tempdir().expect("a directory");
    // A path, because nothing else can come to listen there, as may happen to a port.
    let path = folder.path().join("socket");
    let unix = UnixListener::bind(&path).expect("a listener");
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let (unix, tcp) = (OwnedFd::from(unix), OwnedFd::from(tcp));
    let mut command = activated(2);
    command.args(["--listen", "127.0.0.1:0"]);
    pass_both(&mut command, &unix, &tcp);
    let server = Server::spawn(command);
    drop((unix, tcp));
    assert_eq!(server.get("/plaintext").text(), "Hello, World!");
    // A child that another test is just starting has it until it execs.
    let refusal = || UnixStream::connect(&path).err().map(|error| error.kind());
    until("it is closed", || refusal() == Some(ErrorKind::ConnectionRefused));
    assert!(
        server.stderr().contains("closed sockets passed by systemd (fd:3, fd:4)"),
        "{}",
        server.stderr()
    );
}

/// As descriptors 3 and 4. Either may have one of these numbers in this process already.
fn pass_both(command: &mut Command, first: &OwnedFd, second: &OwnedFd) {
    pass(command, first, 100);
    pass(command, second, 101);
    // SAFETY: between fork and exec the closure makes four system calls and allocates nothing; the
    // two descriptors it borrows have just been made.
    unsafe {
        command.pre_exec(|| {
            os::duplicate_to(100, 3)?;
            os::duplicate_to(101, 4)?;
            os::set_close_on_exec(BorrowedFd::borrow_raw(100), true)?;
            os::set_close_on_exec(BorrowedFd::borrow_raw(101), true)
        });
    }
}

/// The variables are inherited by every child, but meant for one process.
#[test]
fn sockets_that_are_meant_for_another_process_are_left_alone() {
    let mut command = sped();
    command.env("LISTEN_FDS", "1").env("LISTEN_PID", "1");
    command.args(["--demo", "--listen", "127.0.0.1:0"]);
    assert_eq!(Server::spawn(command).get("/plaintext").status, 200);
}

#[test]
fn a_descriptor_that_is_not_a_listening_socket_is_refused_by_name() {
    let output = run(&["--listen", "fd:99"]);
    assert!(refusal(&output).contains("fd:99"), "{output:?}");
    let sockets: [(OwnedFd, &str); 2] = [
        (UdpSocket::bind("127.0.0.1:0").expect("a socket").into(), "stream"),
        (
            Path::new("/dev/null")
                .to_owned()
                .into_os_string()
                .into_string()
                .map(open)
                .expect("UTF-8"),
            "pass a listening socket",
        ),
    ];
    for (socket, hint) in sockets {
        let mut command = sped();
        command.args(["--listen", "fd:7"]);
        pass(&mut command, &socket, 7);
        let text = refusal(&command.output().expect("running sped"));
        assert!(text.contains("fd:7") && text.contains(hint), "{text}");
    }
}

fn open(path: String) -> OwnedFd {
    std::fs::File::open(path).expect("a file").into()
}

#[test]
fn an_address_in_use_is_named_in_the_error() {
    let server = Server::demo();
    let address = server.address().to_string();
    let text = refusal(&run(&["--listen", &address]));
    assert!(text.contains(&address) && text.to_lowercase().contains("in use"), "{text}");
    assert_eq!(server.get("/plaintext").status, 200);
}

#[test]
fn a_living_servers_socket_is_not_taken_over_and_a_dead_ones_is() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("socket");
    let unix = format!("unix:{}", path.display());
    let start = || {
        let mut command = sped();
        command.args(["--demo", "--listen", &unix]);
        command
    };
    let living = Server::spawn(start());
    let text = refusal(&start().output().expect("running sped"));
    assert!(text.contains(&unix), "{text}");
    assert_eq!(Client::connect_unix(&path).get("/plaintext").status, 200);
    drop(living); // killed: it cannot clean up
    assert!(path.exists());
    let _next = Server::spawn(start());
    assert_eq!(Client::connect_unix(&path).get("/plaintext").status, 200);
    // Anything that is not a socket must not be replaced.
    let file = folder.path().join("file");
    std::fs::write(&file, "precious").expect("a file");
    refusal(&run(&["--listen", &format!("unix:{}", file.display())]));
    assert_eq!(std::fs::read_to_string(file).expect("the file"), "precious");
}

#[test]
fn a_port_can_be_bound_again_at_once() {
    let mut server = Server::demo();
    let address = server.address().to_string();
    let mut client = server.connect();
    client.get("/plaintext");
    // It closes first: its side of the connection stays behind in TIME_WAIT.
    assert_eq!(server.stop().code(), Some(0));
    client.expect_close();
    drop(client);
    let mut command = sped();
    command.args(["--demo", "--listen", &address]);
    assert_eq!(Server::spawn(command).get("/plaintext").status, 200);
}

#[test]
fn help_and_version_are_printed_and_exit_with_0() {
    for flag in ["--help", "-h", "--version", "-V"] {
        let output = run(&[flag]);
        assert_eq!(output.status.code(), Some(0), "{flag}");
        assert!(output.stderr.is_empty() && !output.stdout.is_empty(), "{flag}");
    }
    let version = String::from_utf8(run(&["--version"]).stdout).expect("UTF-8");
    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    let help = String::from_utf8(run(&["--help"]).stdout).expect("UTF-8");
    assert!(help.contains("--listen") && help.contains("--head-timeout"));
    assert!(help.lines().all(|line| line.chars().count() <= 80), "a line beyond 80 columns");
}

#[test]
fn errors_name_the_option_the_cause_and_the_fix() {
    for (arguments, hints) in [
        (&["--head-timout", "10s"][..], &["--head-timout", "--head-timeout"][..]),
        (&["--head-timeout", "10"], &["--head-timeout", "10"]),
        (&["--max-head", "lots"], &["--max-head", "lots"]),
        (&["--root", "/nonexistent/folder"], &["--root", "/nonexistent/folder"]),
        (&["--listen", "localhost:http"], &["--listen", "localhost:http"]),
        (&["--max-head", "60K", "--buffer-size", "16K"], &["--buffer-size"]),
        (&["surplus"], &["surplus"]),
    ] {
        let text = refusal(&run(arguments));
        for hint in hints {
            assert!(text.contains(hint), "{arguments:?}: {text}");
        }
        assert!(!text.contains("listening on"), "it refuses before it listens: {text}");
    }
}

#[test]
fn a_variable_is_an_option_and_an_argument_wins() {
    let with = |arguments: &[&str]| {
        let mut command = sped();
        command.env("STAMPEDE_MAX_TARGET", "100").env("STAMPEDE_LISTEN", "127.0.0.1:0");
        command.arg("--demo").args(arguments);
        Server::spawn(command)
    };
    let long = format!("/plaintext?{}", "a".repeat(200));
    assert_eq!(with(&[]).get(&long).status, 414);
    assert_eq!(with(&["--max-target", "1K"]).get(&long).status, 200);
    let mut command = sped();
    command.env("STAMPEDE_HEAD_TIMEOUT", "soon");
    let text = refusal(&command.output().expect("running sped"));
    assert!(text.contains("STAMPEDE_HEAD_TIMEOUT") && text.contains("soon"), "{text}");
}
