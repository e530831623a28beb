//! The files as a client sees them: requests as text in, whole responses out, over real
//! directories.

mod caching;
mod conditions;
mod openers;
mod safety;
mod serving;

use std::fs;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Connection, Head, Limits};
use reactor::buffer::{BufferPool, Class};
use tempfile::TempDir;

use super::open::{Method, Opener};
use super::{Files, Local};
use crate::app::clock::Clock;
use crate::app::response::{Frame, Output, Piece, Pieces, Response};
use crate::app::{Action, Disk, Request};
use crate::metrics::Metrics;
use crate::options::Options;

/// A root with files in it.
struct Root(TempDir);

impl Root {
    fn new(files: &[(&str, &str)]) -> Self {
        let root = Root(tempfile::tempdir().unwrap());
        for (name, contents) in files {
            root.write(name, contents);
        }
        root
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    fn link(&self, name: &str, to: impl AsRef<Path>) {
        std::os::unix::fs::symlink(to, self.path().join(name)).unwrap();
    }
}

/// The files of a root behind one loop's caches.
struct Server {
    files: Files,
    local: Local,
    clock: Clock,
    metrics: Metrics,
}

impl Server {
    /// A server whose files are old enough for strong validators.
    fn new(root: &Root) -> Self {
        Server::with(root, |_| {})
    }

    fn with(root: &Root, choose: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::default();
        options.content.root = Some(root.path().to_owned());
        choose(&mut options);
        let metrics = Metrics::new(1).unwrap();
        let mut files = Files::new(&options, metrics.clone(), Disk::Wait).unwrap().unwrap();
        files.ahead = Duration::from_secs(60);
        Server { local: files.local(0), files, clock: Clock::new(0), metrics }
    }

    /// The same root, opened by `method`.
    fn by(self, root: &Root, method: Method) -> Self {
        self.files.root.set_opener(Opener::with_method(root.path(), method).unwrap());
        self
    }

    /// Advances the monotonic clock.
    fn pass_ms(&mut self, ms: u64) {
        self.clock.update(self.clock.now_ms() + ms);
    }

    fn hits(&self) -> u64 {
        self.metrics.slot(0).unwrap().file_cache_hits.get()
    }

    fn get(&mut self, target: &str) -> Answer {
        self.get_with(target, &[])
    }

    fn get_with(&mut self, target: &str, fields: &[&str]) -> Answer {
        self.ask("GET", target, fields)
    }

    /// Answers one request, work included, and gathers the response.
    fn ask(&mut self, method: &str, target: &str, fields: &[&str]) -> Answer {
        let mut text = format!("{method} {target} HTTP/1.1\r\nHost: h\r\n");
        for field in fields {
            text.push_str(field);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        let limits = Limits::default();
        let (mut connection, mut head) = (Connection::new(), Head::new(&limits));
        connection.next(text.as_bytes(), &mut head, &limits).expect("a request");
        let request = Request::new(head.request(text.as_bytes()), b"", &self.clock);

        let pool = BufferPool::new(&[Class { size: 128 * 1024, count: 1 }]).unwrap();
        let mut out = Output::new(pool.take(0).unwrap());
        let frame = Frame {
            method: request.method(),
            version: request.version(),
            connection_line: connection.connection_line(),
        };
        let mut response = Response::new(&mut out, &self.clock, frame);
        match self.files.handle(&mut self.local, &request, &mut response) {
            Action::Done => {}
            Action::Work => self.files.work(&request, &mut response),
            Action::Wait(_) => panic!("files never wait"),
        }
        assert!(response.is_finished(), "{method} {target} is not answered");
        Answer::gather(&out.bytes, &mut out.pieces)
    }
}

/// Tells another thread to stop when the test ends, even by a panic.
#[derive(Default)]
struct Stop(AtomicBool);

impl Stop {
    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Sets a [`Stop`] when dropped.
struct StopOnDrop<'a>(&'a Stop);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn gather(out: &[u8], pieces: &mut Pieces) -> Self {
        let end = out.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
        let head = String::from_utf8(out[..end].to_vec()).unwrap();
        let mut body = out[end..].to_vec();
        while let Some(piece) = pieces.front() {
            take(piece, &mut body);
            pieces.pop_front();
        }
        Answer { status: head[9..12].parse().unwrap(), head, body }
    }

    /// A field's value; the field must not be there twice.
    fn field(&self, name: &str) -> Option<&str> {
        let mut found = self.head.lines().filter_map(|line| {
            let (field, value) = line.split_once(": ")?;
            field.eq_ignore_ascii_case(name).then_some(value)
        });
        let first = found.next();
        assert_eq!(found.next(), None, "{name} twice");
        first
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The announced length is the one that was sent.
    fn assert_length(&self) {
        assert_eq!(self.field("Content-Length"), Some(&*self.body.len().to_string()));
    }
}

fn take(piece: &mut Piece, body: &mut Vec<u8>) {
    match piece {
        Piece::Bytes(bytes) => body.extend_from_slice(bytes),
        Piece::File { file, offset, end, .. } => {
            let mut part = vec![0; (*end - *offset) as usize];
            file.read_exact_at(&mut part, *offset).unwrap();
            body.extend_from_slice(&part);
        }
        Piece::Generate { source, left, .. } => {
            let count = source.read_to_end(body).unwrap();
            assert_eq!(left.unwrap_or(count as u64), count as u64);
        }
    }
}
