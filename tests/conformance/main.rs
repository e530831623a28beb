//! What a strict HTTP/1.1 origin server answers, row by row, over a socket: RFC 9112 (messages) and
//! RFC 9110 (semantics).
//!
//! A row is a number, the bytes sent, the status that must come back, and whether the connection is
//! open afterwards. Where the RFCs leave a choice, the row has this server's.
//!
//! ```text
//! heads.rs      request line, target forms, version, Host, fields
//! bodies.rs     Content-Length, Transfer-Encoding, chunks, Expect
//! resources.rs  connection, methods, ranges, conditions
//! whole.rs      what no single stimulus shows
//! ```

#[path = "../common/mod.rs"]
mod common;
#[path = "../../http/tests/common/ids.rs"]
mod ids;

mod bodies;
mod heads;
mod resources;
mod whole;

use std::fs::{self, File};
use std::io;
use std::time::{Duration, SystemTime};

use common::{Client, Response, Server, request, until};

/// What happens to the connection.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum After {
    /// Another request on it is answered.
    Open,
    /// The server announces that it closes, answers nothing more, and sends FIN.
    Closed,
}

use After::{Closed, Open};

/// A row of the table.
struct Row {
    id: &'static str,
    bytes: Vec<u8>,
    status: u16,
    after: After,
}

fn row(id: &'static str, bytes: impl Into<Vec<u8>>, status: u16, after: After) -> Row {
    let bytes = bytes.into();
    Row { id, bytes, status, after }
}

/// All rows; `tag` is the file's entity tag.
fn rows(tag: &str) -> Vec<Row> {
    [
        heads::request_line(),
        heads::target_forms(),
        heads::version(),
        heads::host(),
        heads::fields(),
        bodies::content_length(),
        bodies::transfer_encoding(),
        bodies::chunks_that_are_well_formed(),
        bodies::chunks_that_are_not(),
        bodies::expect(),
        resources::connection(),
        resources::methods(),
        resources::ranges(tag),
        resources::conditions(tag),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn every_row_is_answered_as_expected() {
    let fixture = Fixture::new();
    fixture.check(rows(&fixture.tag()));
}

#[test]
fn no_row_is_missing() {
    let rows = rows("\"tag\"");
    let rows = rows.iter().map(|row| row.id);
    let in_tests = bodies::IN_TESTS.iter().chain(&resources::IN_TESTS).chain(&whole::IN_TESTS);
    ids::assert_complete(rows.chain(in_tests.copied()));
}

/// A request with this request line.
fn line(line: impl AsRef<[u8]>) -> Vec<u8> {
    [line.as_ref(), b"\r\nHost: localhost\r\n\r\n"].concat()
}

/// A GET of the file with these lines after Host.
fn with(lines: impl AsRef<[u8]>) -> Vec<u8> {
    [b"GET /index.html HTTP/1.1\r\nHost: localhost\r\n", lines.as_ref(), b"\r\n\r\n"].concat()
}

/// A GET of the file with these lines, and no Host but theirs.
fn only(lines: impl AsRef<[u8]>) -> Vec<u8> {
    [b"GET /index.html HTTP/1.1\r\n", lines.as_ref(), b"\r\n"].concat()
}

/// A POST with these lines, and a body.
fn posted(lines: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> Vec<u8> {
    let head = b"POST /echo HTTP/1.1\r\nHost: localhost\r\n";
    [head, lines.as_ref(), b"\r\n\r\n", body.as_ref()].concat()
}

/// A POST whose body is these chunks.
fn chunked(chunks: impl AsRef<[u8]>) -> Vec<u8> {
    posted("Transfer-Encoding: chunked", chunks)
}

/// The file that all rows request: 50 bytes, of 1 January 2026.
struct Fixture {
    server: Server,
    _root: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let path = root.path().join("index.html");
        fs::write(&path, [b'x'; 50]).expect("a file");
        // 2026-01-01 00:00:00 GMT
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        let file = File::options().write(true).open(&path).expect("the file");
        file.set_modified(modified).expect("its time");
        let server = Server::root(root.path(), &["--head-timeout", "30s"]);
        Fixture { server, _root: root }
    }

    /// The file's entity tag. It is weak as long as the file might change again within the
    /// resolution of its timestamps: this waits until it is strong.
    fn tag(&self) -> String {
        let tag = || {
            let answer = self.server.get("/index.html");
            answer.field("ETag").expect("a tag").to_owned()
        };
        until("a strong tag", || tag().starts_with('"'));
        tag()
    }

    /// Checks all rows; fails with a list of those that were answered differently.
    #[track_caller]
    fn check(&self, rows: Vec<Row>) {
        let wrong: Vec<String> = rows.iter().filter_map(|row| self.try_row(row).err()).collect();
        assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    }

    fn try_row(&self, row: &Row) -> Result<(), String> {
        let mut client = self.server.connect();
        // A server that has refused may close before everything is sent; it must not reset.
        let sent = client.try_send(&row.bytes);
        let answer = final_answer(&mut client, row.bytes.starts_with(b"HEAD "));
        let answer = answer.map_err(|error| format!("{}: no answer: {error}", row.id))?;
        if answer.status != row.status {
            return Err(format!("{}: {} for {}", row.id, answer.status, row.status));
        }
        sent.map_err(|error| format!("{}: {error} while sending", row.id))?;
        let after = self.after(&mut client, &answer);
        after
            .and_then(|after| match after == row.after {
                true => Ok(()),
                false => Err(format!("{}", io::Error::other(format!("{after:?}")))),
            })
            .map_err(|found| format!("{}: afterwards {found}, not {:?}", row.id, row.after))
    }

    /// What happened to the connection.
    fn after(&self, client: &mut Client, answer: &Response) -> Result<After, String> {
        if answer.closes() {
            let rest = client.read_to_end().map_err(|error| error.to_string())?;
            return match rest.is_empty() {
                true => Ok(Closed),
                false => Err(format!("{} more bytes", rest.len())),
            };
        }
        let again =
            client.try_send(&request("HEAD", "/index.html", &[])).and_then(|()| client.read_head());
        match again {
            Ok(again) if again.status == 200 => Ok(Open),
            Ok(again) => Err(format!("a {} to the next request", again.status)),
            Err(error) => Err(format!("{error} without a word before")),
        }
    }
}

/// The response, after a 100 if there is one.
fn final_answer(client: &mut Client, to_head: bool) -> io::Result<Response> {
    loop {
        let answer = if to_head { client.read_head() } else { client.try_response() }?;
        if answer.status >= 200 {
            return Ok(answer);
        }
    }
}
