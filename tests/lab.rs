//! The lab from outside: the load generator's counts, experiments that run, Ctrl-C.

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use common::server::binary;
use common::{Server, os, processes, until};

fn lab(arguments: &[&str]) -> Command {
    let mut command = binary(env!("CARGO_BIN_EXE_lab"));
    command.args(arguments).stdin(Stdio::null());
    command
}

#[track_caller]
fn output(arguments: &[&str]) -> Output {
    let output = lab(arguments).output().expect("lab runs");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    output
}

/// A short load on `address`, and one of its numbers.
struct Counts(String);

impl Counts {
    #[track_caller]
    fn of(address: SocketAddr, target: &str, options: &[&str]) -> Counts {
        let url = format!("http://{address}{target}");
        let fixed = ["load", "--json", "--quiet", "--warm-up", "0s", "--duration", "500ms", &url];
        let output = output(&[&fixed, options].concat());
        Counts(String::from_utf8(output.stdout).expect("UTF-8"))
    }

    #[track_caller]
    fn get(&self, name: &str) -> f64 {
        let key = format!("\"{name}\":");
        let (_, rest) = self.0.split_once(&key).unwrap_or_else(|| panic!("{name} in {}", self.0));
        let end = rest.find([',', '}']).expect("an end");
        rest[..end].trim().parse().expect("a number")
    }
}

#[test]
fn a_load_on_a_server_that_is_right_counts_answers_and_no_errors() {
    let server = Server::demo();
    let options = ["--verify", "--connections", "7", "--pipeline", "3"];
    let counts = Counts::of(server.address(), "/plaintext", &options);
    assert!(counts.get("answered") > 0.0, "{}", counts.0);
    assert_eq!((counts.get("clients"), counts.get("connections")), (7.0, 7.0));
    for error in ["wrong_status", "wrong_content", "invalid_responses", "truncated", "refused"] {
        assert_eq!(counts.get(error), 0.0, "{error}: {}", counts.0);
    }
}

#[test]
fn a_mix_has_every_route() {
    let server = Server::demo();
    let before = server.metric("requests_total");
    let routes = ["-r", "3:/plaintext", "-r", "1:POST /echo", "-b", "hello", "-v"];
    let counts = Counts::of(server.address(), "/", &routes);
    assert!(counts.get("answered") >= 4.0, "{}", counts.0);
    assert_eq!(counts.get("wrong_content"), 0.0);
    assert!(server.metric("requests_total") > before);
}

#[test]
fn other_content_than_the_first_time_is_noticed() {
    let server = Server::demo();
    // It counts the requests.
    let counts = Counts::of(server.address(), "/status.json", &["--verify"]);
    assert!(counts.get("wrong_content") > 0.0, "{}", counts.0);
    let counts = Counts::of(server.address(), "/no-such-route", &[]);
    assert!(counts.get("wrong_status") > 0.0 && counts.get("answered") == 0.0, "{}", counts.0);
}

#[test]
fn a_server_that_closes_after_every_answer_is_no_error() {
    let server = Server::start(&["--demo", "--keepalive-requests", "1"]);
    let counts = Counts::of(server.address(), "/plaintext", &["-v", "-c", "4"]);
    assert!(counts.get("answered") > 4.0, "{}", counts.0);
    assert!(counts.get("connections") >= counts.get("answered"), "{}", counts.0);
    assert_eq!(counts.get("truncated") + counts.get("refused"), 0.0, "{}", counts.0);
}

#[test]
fn clients_that_connect_for_every_request_do() {
    let server = Server::demo();
    let counts = Counts::of(server.address(), "/plaintext", &["-v", "-c", "4", "-n", "1"]);
    assert!(counts.get("answered") > 4.0, "{}", counts.0);
    assert!(counts.get("connections") >= counts.get("answered"), "{}", counts.0);
}

#[test]
fn a_closed_port_refuses() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    drop(listener);
    let counts = Counts::of(address, "/", &["-c", "1"]);
    assert_eq!(counts.get("answered"), 0.0);
    assert!(counts.get("refused") > 0.0, "{}", counts.0);
}

/// Answers, but stalls once for this long, after ten answers.
fn stalls_once(stall: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    thread::spawn(move || {
        let Ok((mut client, _)) = listener.accept() else { return };
        for number in 0.. {
            if read_head(&mut client).is_none() {
                return;
            }
            if number == 10 {
                thread::sleep(stall);
            }
            let _ = client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
        }
    });
    address
}

fn read_head(client: &mut TcpStream) -> Option<()> {
    let mut last = [0; 4];
    while last != *b"\r\n\r\n" {
        let mut byte = [0];
        client.read_exact(&mut byte).ok()?;
        last.rotate_left(1);
        last[3] = byte[0];
    }
    Some(())
}

/// What was due during the stall has waited for its end: at 200 requests a second, a stall of a
/// quarter of half a second is in a quarter of the latencies. A closed loop has it in one.
#[test]
fn an_open_loop_counts_what_a_stall_keeps_waiting_and_a_closed_one_does_not() {
    let stall = Duration::from_millis(250);
    let open = Counts::of(stalls_once(stall), "/", &["-c", "1", "-R", "200"]);
    assert!(open.get("p90_us") > 100_000.0, "{}", open.0);
    let closed = Counts::of(stalls_once(stall), "/", &["-c", "1"]);
    assert!(closed.get("max_us") >= 250_000.0, "{}", closed.0);
    assert!(closed.get("p90_us") < open.get("p90_us"), "{} {}", closed.0, open.0);
}

#[test]
fn an_experiment_runs_to_a_verdict() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("UTF-8");
    let text = String::from_utf8(output(&["run", "--quick", "-o", path, "switch-cost"]).stdout);
    let text = text.expect("UTF-8");
    assert!(text.contains("switch-cost") && text.contains("hold"), "{text}");
    let page = || fs::read(folder.path().join("index.html")).expect("the report");
    let first = page();
    assert!(String::from_utf8_lossy(&first).contains("switch-cost"));
    fs::remove_file(folder.path().join("index.html")).expect("without its page");
    output(&["report", path]);
    assert_eq!(page(), first, "the page made again from the data");
}

#[test]
fn what_cannot_be_is_refused_with_what_could() {
    for (arguments, expected) in [
        (&["load"][..], "no URL"),
        (&["load", "https://a/"], "https is not supported"),
        (&["load", "-p", "65", "http://a/"], "from 1 to 64"),
        (&["load", "--slow", "head", "http://a/"], "KIND:N"),
        (&["run", "no-such"], "--list"),
        (&["run", "--models", "apache"], "iterative"),
        (&["paint"], "unknown command"),
    ] {
        let output = lab(arguments).output().expect("lab runs");
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && message.contains(expected), "{arguments:?}: {message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}

#[test]
fn ctrl_c_ends_the_servers_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("UTF-8");
    let mut command = lab(&["run", "-o", path, "sped-stall"]);
    let mut run = command.stderr(Stdio::null()).stdout(Stdio::null()).spawn().expect("lab runs");
    let mut servers = Vec::new();
    until("a server under test", || {
        servers = processes::children(run.id());
        !servers.is_empty()
    });
    os::signal(run.id(), libc::SIGINT);
    until("its end", || run.try_wait().expect("our child").is_some());
    assert!(run.wait().expect("our child").success(), "what there is is kept");
    assert!(folder.path().join("index.html").exists(), "a partial report");
    until("the servers' end", || !servers.iter().any(|pid| processes::is_alive(*pid)));
}

#[test]
fn top_shows_what_a_server_counts() {
    let server = Server::demo();
    let url = format!("http://{}", server.address());
    let output = output(&["top", "--once", &url]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(text.contains("requests") && text.contains("connections_open"), "{text}");
}

#[test]
fn a_model_is_served_as_by_its_own_binary() {
    let mut command = lab(&["serve", "mt", "--demo", "--listen", "127.0.0.1:0"]);
    let mut server = command.stderr(Stdio::piped()).spawn().expect("lab runs");
    let mut line = String::new();
    let stderr = server.stderr.take().expect("a pipe");
    BufReader::new(stderr).read_line(&mut line).expect("a line");
    assert!(line.starts_with("mt: listening on http://127.0.0.1:"), "{line}");
    os::signal(server.id(), libc::SIGTERM);
    assert!(server.wait().expect("our child").success());
}
