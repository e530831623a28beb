//! Under a service manager (systemd): its notifications and the sockets it passes, under every
//! model.

#![cfg(target_os = "linux")]

mod common;

use std::fs;
use std::net::{Shutdown, TcpListener};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};

use common::server::{binary, has_master, models};
use common::successor::Successor;
use common::{Client, PATIENCE, Server, get, os, until};
use reactor::process::monotonic_us;

/// A service manager's socket. It always receives: the kernel queues ten messages at most.
struct Ear {
    socket: UnixDatagram,
    at: SocketAddr,
    /// As NOTIFY_SOCKET names it.
    address: String,
    heard: Receiver<String>,
    listener: Option<JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

/// A message that only a test sends.
const MARK: &str = "MARK";

impl Ear {
    fn new(is_abstract: bool) -> Ear {
        let folder = tempfile::tempdir().expect("a directory");
        let path = folder.path().join("notify").display().to_string();
        let (address, at) = match is_abstract {
            true => (format!("@{path}"), SocketAddr::from_abstract_name(path)),
            false => (path.clone(), SocketAddr::from_pathname(path)),
        };
        let at = at.expect("an address");
        let socket = UnixDatagram::bind_addr(&at).expect("a socket");
        let (tell, heard) = mpsc::channel();
        let ear = socket.try_clone().expect("a descriptor");
        let listener = thread::spawn(move || {
            let mut bytes = [0; 4096];
            // No message is empty: it was shut down.
            while let Ok(len @ 1..) = ear.recv(&mut bytes) {
                let _ = tell.send(String::from_utf8_lossy(&bytes[..len]).into_owned());
            }
        });
        Ear { socket, at, address, heard, listener: Some(listener), _folder: folder }
    }

    /// The next message.
    #[track_caller]
    fn next(&self) -> String {
        self.heard.recv_timeout(PATIENCE).expect("a message")
    }

    /// The next one that is not a heartbeat.
    #[track_caller]
    fn news(&self) -> String {
        std::iter::repeat_with(|| self.next()).find(|news| news != "WATCHDOG=1").expect("news")
    }

    /// All messages until now.
    #[track_caller]
    fn until_now(&self) -> Vec<String> {
        let us = UnixDatagram::unbound().expect("a socket");
        us.send_to_addr(MARK.as_bytes(), &self.at).expect("a message to ourselves");
        std::iter::repeat_with(|| self.next()).take_while(|news| news != MARK).collect()
    }

    /// A server that was started with it.
    fn start(&self, mut command: Command, variables: &[(&str, &str)]) -> Server {
        command.args(["--demo", "--listen", "127.0.0.1:0"]);
        command.env("NOTIFY_SOCKET", &self.address).envs(variables.iter().copied());
        Server::spawn(command)
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.socket.shutdown(Shutdown::Both).expect("shutdown");
        self.listener.take().map(JoinHandle::join);
    }
}

#[test]
fn it_is_notified_of_startup_reload_and_shutdown() {
    for (name, mut command) in models() {
        if has_master(name) {
            command.args(["--workers", "2"]);
        }
        let ear = Ear::new(name == "amped");
        let mut server = ear.start(command, &[]);
        let status = format!("READY=1\nSTATUS=listening on http://{}", server.address());
        assert_eq!(ear.next(), status, "{name}");
        let (workers, before) = (os::children(server.pid()), monotonic_us());
        server.signal(libc::SIGHUP);
        let reloading = ear.next();
        let at = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect("its beginning");
        let at: u64 = at.parse().expect("microseconds");
        assert!(before <= at && at <= monotonic_us(), "{name}");
        assert_eq!(ear.next(), "READY=1", "{name}");
        let renewed = os::children(server.pid()).difference(&workers).count();
        assert_eq!(renewed, workers.len(), "{name}: done means done");
        server.signal(libc::SIGTERM);
        assert_eq!(ear.next(), "STOPPING=1\nSTATUS=finishing requests in flight", "{name}");
        assert!(server.wait().success());
    }
}

#[test]
fn a_draining_server_does_not_report_reloads() {
    for (name, command) in models() {
        let ear = Ear::new(false);
        let mut server = ear.start(command, &[]);
        assert!(ear.next().starts_with("READY=1\n"));
        let mut busy = server.connect();
        busy.send(&get("/sleep?ms=500"));
        // One client at a time: nothing could be asked meanwhile, and who waits is served all the same.
        if name != "iterative" {
            server.until_metric("waits", 1);
        }
        server.signal(libc::SIGQUIT);
        assert!(ear.next().starts_with("STOPPING=1\n"), "{name}");
        server.signal(libc::SIGHUP);
        server.signal(libc::SIGTERM);
        assert_eq!(busy.response().status, 200);
        assert!(server.wait().success());
        assert!(ear.until_now().is_empty(), "{name}");
    }
}

#[test]
fn the_loops_heart_beats_as_often_as_the_watchdog_wants() {
    for (name, command) in models() {
        let ear = Ear::new(has_master(name));
        let server = ear.start(command, &[("WATCHDOG_USEC", "60000")]);
        assert!(ear.next().starts_with("READY=1\n"), "{name}");
        for _ in 0..5 {
            assert_eq!(ear.next(), "WATCHDOG=1", "{name}");
        }
        assert_eq!(server.exchange(&get("/plaintext")).status, 200);
    }
}

#[test]
fn a_loop_that_is_stuck_has_no_heartbeat() {
    let ear = Ear::new(false);
    let server = ear.start(common::server::sped(), &[("WATCHDOG_USEC", "40000")]);
    let mut client = server.connect();
    assert_eq!(client.get("/plaintext").status, 200);
    ear.until_now();
    assert_eq!(client.get("/work?us=2000000").status, 200);
    // A hundred, if anything but the loop sent heartbeats.
    let beats = ear.until_now().len();
    assert!(beats < 50, "{beats}");
    assert_eq!(ear.next(), "WATCHDOG=1", "and it continues");
}

#[test]
fn another_processs_watchdog_is_left_alone() {
    for (name, command) in models() {
        let ear = Ear::new(false);
        let variables = [("WATCHDOG_USEC", "2000"), ("WATCHDOG_PID", "1")];
        let mut server = ear.start(command, &variables);
        assert!(ear.next().starts_with("READY=1\n"));
        for _ in 0..20 {
            server.exchange(&get("/sleep?ms=5"));
        }
        server.signal(libc::SIGTERM);
        assert!(ear.next().starts_with("STOPPING=1\n"), "{name}");
        server.wait();
    }
}

#[test]
fn a_failure_to_notify_is_logged_once_and_otherwise_ignored() {
    let count = |server: &Server| server.stderr().matches("cannot notify").count();
    for (name, command) in models() {
        let ear = Ear::new(false);
        let mut server = ear.start(command, &[]);
        assert!(ear.next().starts_with("READY=1\n"));
        let address = ear.address.clone();
        drop(ear);
        server.signal(libc::SIGHUP);
        until("it is logged", || count(&server) > 0);
        server.signal(libc::SIGHUP);
        assert_eq!(server.exchange(&get("/plaintext")).status, 200);
        assert!(server.stop().success());
        assert_eq!(count(&server), 1, "{}", server.stderr());
        let text = server.stderr();
        let begin =
            format!("{name}: NOTIFY_SOCKET {address:?}: cannot notify the service manager: ");
        // EPIPE while the socket is being closed.
        let ends = ["Connection refused (os error 111)\n", "Broken pipe (os error 32)\n"];
        assert!(ends.iter().any(|end| text.contains(&format!("{begin}{end}"))), "{text}");
    }
    for (name, mut command) in models() {
        command.args(["--demo", "--listen", "127.0.0.1:0"]).env("NOTIFY_SOCKET", "vsock:2:1");
        let mut server = Server::spawn(command);
        assert_eq!(server.exchange(&get("/plaintext")).status, 200);
        assert!(server.stop().success());
        assert_eq!(count(&server), 1, "{name}");
    }
}

/// A server started as systemd does it, with one socket, as descriptor 3.
fn activated(command: &Command, ear: &Ear, socket: &OwnedFd) -> Command {
    let mut shell = binary("sh");
    let script = "export LISTEN_PID=$$ WATCHDOG_PID=$$; exec \"$0\" \"$@\"";
    shell.args(["-c", script]).arg(command.get_program()).args(command.get_args()).arg("--demo");
    shell.envs([("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", "web"), ("WATCHDOG_USEC", "100000")]);
    shell.env("NOTIFY_SOCKET", &ear.address);
    let socket = socket.as_raw_fd();
    // SAFETY: between fork and exec the closure makes one system call and allocates nothing.
    unsafe { shell.pre_exec(move || os::duplicate_to(socket, 3)) };
    shell
}

#[test]
fn an_upgrade_passes_on_the_sockets_and_the_service_but_no_per_process_variables() {
    for (name, command) in models() {
        let ear = Ear::new(false);
        let socket = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = socket.local_addr().expect("its address");
        let mut old = Server::spawn(activated(&command, &ear, &OwnedFd::from(socket)));
        assert_eq!(ear.news(), format!("READY=1\nSTATUS=listening on http://{address}"), "{name}");
        let new = Successor::of(&old);
        // Of two processes: in either order.
        let mut news = [ear.news(), ear.news()];
        news.sort();
        assert_eq!(news[0], format!("MAINPID={}\nWATCHDOG=1", new.pid()), "{name}");
        assert!(news[1].starts_with("READY=1\n"), "{name}: {}", news[1]);
        assert!(old.wait().success());
        ear.until_now();
        for _ in 0..3 {
            assert_eq!(ear.next(), "WATCHDOG=1", "{name}: the new one's");
        }
        assert_eq!(Client::connect(address).get("/plaintext").status, 200);
        let environment = fs::read(format!("/proc/{}/environ", new.pid())).expect("its variables");
        let environment = String::from_utf8_lossy(&environment);
        assert!(environment.contains("WATCHDOG_USEC=") && environment.contains("NOTIFY_SOCKET="));
        assert!(
            !environment.contains("WATCHDOG_PID") && !environment.contains("LISTEN_"),
            "{name}"
        );
        new.stop();
        assert!(ear.news().starts_with("STOPPING=1\n"), "{name}");
    }
}
