//! The access log from outside: a line for each response, none forged by a client, and never at the
//! expense of serving.

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::server::serves_many;
use common::{Client, Server, get, os, request, server, until};

/// A server that logs to a file of its own.
struct Logged {
    server: Server,
    file: PathBuf,
    folder: tempfile::TempDir,
}

impl Logged {
    fn start(format: &str, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let file = folder.path().join("access.log");
        let name = file.to_str().expect("UTF-8");
        let log = ["--demo", "--access-log", format, "--log-file", name];
        let server = Server::start(&[&log[..], arguments].concat());
        Logged { server, file, folder }
    }

    /// Stops the server; returns its lines.
    fn finish(mut self) -> Vec<String> {
        assert_eq!(self.server.stop().code(), Some(0));
        lines(&self.file)
    }
}

fn lines(file: &PathBuf) -> Vec<String> {
    let text = fs::read_to_string(file).expect("the log");
    assert!(text.is_empty() || text.ends_with('\n'), "a line without an end");
    text.lines().map(str::to_owned).collect()
}

/// `127.0.0.1 - - [22/Nov/2026:06:17:01 +0000] ` and what follows.
#[track_caller]
fn after_time(line: &str) -> &str {
    let (before, after) = line.split_once("] ").expect("a time in brackets");
    let time = before.strip_prefix("127.0.0.1 - - [").expect("an address and two dashes");
    assert_eq!(time.len(), "22/Nov/2026:06:17:01 +0000".len(), "{line}");
    after
}

#[test]
fn the_common_format_is_as_every_tool_knows_it() {
    let logged = Logged::start("common", &[]);
    let mut client = logged.server.connect();
    client.get("/plaintext?a=b");
    client.get("/missing");
    client.send(&request("HEAD", "/json", &[]));
    client.response_to_head();
    drop(client);
    let lines = logged.finish();
    assert_eq!(after_time(&lines[0]), "\"GET /plaintext?a=b HTTP/1.1\" 200 13");
    assert!(after_time(&lines[1]).starts_with("\"GET /missing HTTP/1.1\" 404 "));
    assert!(after_time(&lines[2]).starts_with("\"HEAD /json HTTP/1.1\" 200 "));
    assert_eq!(lines.len(), 3);
}

#[test]
fn the_combined_format_adds_referrer_and_agent() {
    let logged = Logged::start("combined", &[]);
    let fields = ["Referer: http://example.org/", "User-Agent: test/1 (x)"];
    logged.server.exchange(&request("GET", "/plaintext", &fields));
    logged.server.get("/plaintext");
    let lines = logged.finish();
    // Two connections: where they are two processes, each writes its own lines in its own time.
    let mut ends: Vec<&str> = lines.iter().map(|line| after_time(line)).collect();
    ends.sort_unstable();
    let request = "\"GET /plaintext HTTP/1.1\" 200 13";
    let expected = ["\"-\" \"-\"", "\"http://example.org/\" \"test/1 (x)\""];
    assert_eq!(ends, expected.map(|fields| format!("{request} {fields}")));
}

#[test]
fn the_json_format_is_one_object_a_line() {
    let logged = Logged::start("json", &[]);
    logged.server.exchange(&request("GET", "/plaintext?q=\"\\", &["User-Agent: a\"b\\c\té"]));
    logged.server.get("/json");
    let lines = logged.finish();
    assert_eq!(lines.len(), 2);
    for line in &lines {
        assert!(line.starts_with('{') && line.ends_with('}'), "{line}");
        assert!(line.contains("\"status\":"), "{line}");
    }
    // Not even a quote escapes from its string.
    assert_eq!(lines[0].matches("\"status\":").count(), 1);
}

/// The bytes that would begin a line of their own, close a quote, or move a terminal's cursor.
#[test]
fn no_request_can_forge_a_line() {
    if !serves_many("several clients are connected at once") {
        return;
    }
    let forged = "x\" 200 1 \"-\"";
    for format in ["common", "combined", "json"] {
        let logged = Logged::start(format, &[]);
        let mut client = logged.server.connect();
        for value in [forged, "\x1b[2J", "\u{85}\u{2028}", "a\\\" b", "\t\t"] {
            let agent = format!("User-Agent: {value}");
            let referrer = format!("Referer: {value}");
            let answer = client.exchange(&request("GET", "/plaintext", &[&agent, &referrer]));
            if answer.closes() {
                client = logged.server.connect();
            }
        }
        let raw: [&[u8]; 4] = [
            b"GET /\"HTTP/1.1\"200 HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /a\rb HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /\xff\xfe\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
            b"\"127.0.0.1 - - [x] forged\n\n",
        ];
        for bytes in raw {
            logged.server.exchange(bytes);
        }
        for line in logged.finish() {
            let printable = line.bytes().all(|byte| (0x20..0x7f).contains(&byte));
            assert!(printable, "{format}: {line:?}");
            let begin = if format == "json" { "{" } else { "127.0.0.1 - - [" };
            assert!(line.starts_with(begin), "{format}: {line}");
            assert!(!line.contains(forged), "{format}: {line}");
        }
    }
}

#[test]
fn refusals_and_timeouts_have_lines_too() {
    let logged = Logged::start("common", &["--head-timeout", "200ms", "--max-body", "10"]);
    logged.server.exchange(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    logged.server.exchange(b"nonsense\r\n\r\n");
    logged.server.exchange(b"GET / HTTP/1.1\r\nHo");
    logged.server.exchange(&request("POST", "/echo", &["Content-Length: 11"]));
    let lines = logged.finish();
    let ends: Vec<&str> = lines.iter().map(|line| after_time(line)).collect();
    assert_eq!(ends.len(), 4, "{ends:?}");
    for (end, status) in ends.iter().zip(["400", "400", "408", "413"]) {
        let (_, measures) = end.rsplit_once("\" ").expect("a quoted request line");
        assert_eq!(measures.split(' ').next(), Some(status), "{end}");
    }
}

/// What an operator looks for: which request was it? A line is shown as it came, as far as it came.
#[test]
fn a_refused_request_is_logged_with_its_first_line() {
    let long = format!("GET /{}", "x".repeat(20_000));
    let shown = format!("GET /{}...", "x".repeat(256 - "GET /".len()));
    let chunked = |target, body: &str| {
        [&request("POST", target, &["Transfer-Encoding: chunked"]), body.as_bytes()].concat()
    };
    let cases: [(Vec<u8>, &str, u16); 9] = [
        (b"nonsense\r\n\r\n".to_vec(), "nonsense", 400),
        (b"\x16\x03\x01\x02\0\x01\0\x01".to_vec(), r"\x16\x03\x01\x02\x00\x01\x00\x01", 400),
        (b"GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), r"GET /a\x09b HTTP/1.1", 400),
        (long.into_bytes(), &shown, 414),
        (
            request("GET", "/long", &[&format!("X: {}", "y".repeat(20_000))]),
            "GET /long HTTP/1.1",
            431,
        ),
        (b"GET /partly HTTP/1.1\r\nHo".to_vec(), "GET /partly HTTP/1.1", 408),
        (b"GET /par".to_vec(), "GET /par", 408),
        (chunked("/echo", "5\r\nhel"), "POST /echo HTTP/1.1", 408),
        (chunked("/echo", "z\r\n"), "POST /echo HTTP/1.1", 400),
    ];
    for format in ["common", "json"] {
        let times = ["--head-timeout", "200ms", "--body-timeout", "200ms"];
        let logged = Logged::start(format, &times);
        for (bytes, _, status) in &cases {
            assert_eq!(logged.server.exchange(bytes).status, *status);
        }
        let lines = logged.finish();
        assert_eq!(lines.len(), cases.len());
        for (_, line, status) in &cases {
            let expected = match format {
                "common" => format!("] \"{line}\" {status} "),
                _ if line.starts_with("POST") => format!("\"status\":{status},"),
                _ => format!(",\"line\":\"{}\",\"status\":{status},", line.replace(r"\x", r"\u00")),
            };
            assert!(lines.iter().any(|line| line.contains(&expected)), "{expected} in {lines:#?}");
        }
    }
}

#[test]
fn what_browsers_leave_raw_is_served_and_logged_escaped() {
    let logged = Logged::start("common", &[]);
    let answer = logged.server.get("/plaintext?a|b^c\\d`e{f}");
    assert_eq!((answer.status, answer.text()), (200, "Hello, World!"));
    assert_eq!(logged.server.get("/a|b^c").status, 404);
    let mut lines = logged.finish();
    lines.sort_by_key(|line| line.contains("404"));
    let query = r"/plaintext?a\x7cb\x5ec\x5cd\x60e\x7bf\x7d";
    assert_eq!(after_time(&lines[0]), format!("\"GET {query} HTTP/1.1\" 200 13"));
    assert!(after_time(&lines[1]).starts_with(r#""GET /a\x7cb\x5ec HTTP/1.1" 404 "#));
}

/// The line waits until the last byte is sent, and has the byte count.
#[test]
fn a_streamed_response_is_logged_with_what_was_sent() {
    const LEN: usize = 30_000_000;
    let logged = Logged::start("common", &[]);
    let mut client = Client::connect_with_window(logged.server.address(), 65_536);
    client.send(&get(&format!("/bytes?n={LEN}")));
    assert_eq!(client.response().body.len(), LEN);
    drop(client);
    // This one disconnects in the middle.
    let mut client = Client::connect_with_window(logged.server.address(), 4096);
    client.send(&get(&format!("/bytes?n={LEN}")));
    client.read_head().expect("an answer");
    client.reset();
    logged.server.until_metric("connections_open", 1);
    let lines = logged.finish();
    let streamed: Vec<&String> = lines.iter().filter(|line| line.contains("/bytes")).collect();
    let sent = |line: &str| {
        let (_, digits) = line.rsplit_once(' ').expect("a number at the end");
        digits.parse::<usize>().expect("a number of bytes")
    };
    assert_eq!(sent(streamed[0]), LEN);
    assert!(sent(streamed[1]) < LEN, "{}", streamed[1]);
    assert_eq!(streamed.len(), 2);
}

#[test]
fn sighup_opens_the_file_again_after_it_was_moved() {
    let logged = Logged::start("common", &[]);
    let moved = logged.folder.path().join("access.log.1");
    logged.server.get("/plaintext?before");
    fs::rename(&logged.file, &moved).expect("moving the log away");
    logged.server.signal(libc::SIGHUP);
    until("there is a new file", || logged.file.exists());
    logged.server.get("/plaintext?after");
    let old = {
        until("the old line is written", || lines(&moved).len() == 1);
        lines(&moved)
    };
    assert!(old[0].contains("/plaintext?before "));
    let new = logged.finish();
    assert!(new.iter().any(|line| line.contains("/plaintext?after ")));
    assert!(!new.iter().any(|line| line.contains("?before ")));
}

#[test]
fn lines_on_standard_output_come_while_it_runs() {
    let mut command = server::model();
    command.args(["--listen", "127.0.0.1:0", "--demo", "--access-log", "common"]);
    command.stdout(Stdio::piped());
    let mut server = Server::spawn(command);
    let mut lines = BufReader::new(server.take_stdout()).lines();
    server.get("/plaintext?shown");
    let line = lines.next().expect("a line").expect("UTF-8");
    assert!(line.contains("/plaintext?shown "));
}

/// Leaving the log piped into an idle pager stops the lines, not the server.
#[test]
fn an_unread_pipe_does_not_block_the_server() {
    if !serves_many("the metrics are asked for while a client is connected") {
        return;
    }
    let mut command = server::model();
    command.args(["--listen", "127.0.0.1:0", "--demo", "--access-log", "combined"]);
    command.stdout(Stdio::piped());
    let mut server = Server::spawn(command);
    let unread = server.take_stdout();
    let agent = format!("User-Agent: {}", "x".repeat(4000));
    let batch = request("GET", "/plaintext", &[&agent]).repeat(20);
    let mut client = server.connect();
    // Several times what the pipe and the log's own bound hold.
    for _ in 0..40 {
        client.send(&batch);
        for _ in 0..20 {
            assert_eq!(client.response().status, 200);
        }
    }
    until("lines are dropped and counted", || server.metric("log_lines_dropped_total") > 0);
    drop(client);
    assert_eq!(server.stop().code(), Some(0));
    drop(unread);
}

#[test]
fn a_pipe_without_a_reader_does_not_end_the_server() {
    let mut command = server::model();
    command.args(["--listen", "127.0.0.1:0", "--demo", "--access-log", "common"]);
    command.stdout(Stdio::piped());
    let mut server = Server::spawn(command);
    drop(server.take_stdout());
    let mut client = server.connect();
    for _ in 0..3 {
        assert_eq!(client.get("/plaintext").status, 200);
        // Longer than a batch of lines waits.
        os::readable_within(client.stream(), std::time::Duration::from_millis(300));
    }
    assert!(server.is_running());
    assert_eq!(server.stop().code(), Some(0));
}

/// It has one end: the server's.
#[test]
fn a_named_pipes_reader_has_all_lines() {
    let folder = tempfile::tempdir().expect("a directory");
    let path = folder.path().join("pipe");
    os::make_fifo(&path);
    // Makes sure that there is a reader before the other one has opened it.
    let _first = fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(&path)
        .expect("the pipe");
    let cat = Command::new("cat").arg(&path).stdout(Stdio::piped()).spawn().expect("cat(1)");
    let name = path.to_str().expect("UTF-8");
    let log = ["--access-log", "common", "--log-file", name];
    let mut server = Server::start(&[&["--demo"], &log[..]].concat());
    assert_eq!(server.get("/plaintext").status, 200);
    assert_eq!(server.stop().code(), Some(0));
    let output = cat.wait_with_output().expect("its end");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(text.contains("\"GET /plaintext HTTP/1.1\" 200 "), "{text:?}");
}

#[test]
fn a_log_file_that_cannot_be_opened_is_reported_and_startup_fails() {
    let mut command = server::model();
    command.args(["--listen", "127.0.0.1:0", "--access-log", "common"]);
    command.args(["--log-file", "/nonexistent/folder/log"]);
    let output = command.output().expect("running sped");
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    let why = "No such file or directory (os error 2); make its folder first";
    assert!(text.contains(&format!("/nonexistent/folder/log: {why}")), "{text}");
}
