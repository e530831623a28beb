//! The log as its reader sees it: real files and pipes.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::UNIX_EPOCH;

use super::*;
use crate::options::LogTarget;

const TIME: SystemTime = UNIX_EPOCH;

/// Calls `with` with the request in `text`.
fn with_request<T>(text: &[u8], with: impl FnOnce(http::Request<'_>) -> T) -> T {
    let limits = http::Limits::default();
    let mut head = http::Head::new(&limits);
    let step = http::Connection::new().next(text, &mut head, &limits).expect("a valid request");
    assert!(matches!(step.event, http::Event::Head), "a whole head");
    with(head.request(text))
}

const REQUEST: &[u8] = b"GET /a?b=%22 HTTP/1.1\r\nHost: h\r\nReferer: http://r/\r\n\
    User-Agent: x\"\\\t\xff y\r\n\r\n";

fn record<'a>(request: Option<http::Request<'a>>) -> Record<'a> {
    Record {
        peer: Some(Ipv4Addr::new(192, 0, 2, 7).into()),
        request,
        line: b"",
        status: 200,
        body_bytes: 13,
        duration_us: 42,
        time: TIME + Duration::from_millis(784_111_777_045),
    }
}

fn open(format: LogFormat, path: &Path) -> AccessLog {
    let target = LogTarget::File(path.to_owned());
    AccessLog::open(&LogOptions { format, target }).unwrap()
}

/// A record as written to a file, both directly and held.
fn logged(format: LogFormat) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut log = open(format, &path);
    with_request(REQUEST, |request| {
        log.record(&record(Some(request)));
        let held = log.hold(&Record { body_bytes: 0, duration_us: 0, ..record(Some(request)) });
        log.record_held(&held, 13, 42);
    });
    log.flush();
    let text = fs::read_to_string(&path).unwrap();
    let (first, second) = text.split_once('\n').unwrap();
    assert_eq!(second.strip_suffix('\n'), Some(first), "a held line is the same");
    first.to_owned()
}

#[test]
fn common_lines_are_as_ncsa_wrote_them() {
    let expected = r#"192.0.2.7 - - [06/Nov/1994:08:49:37 +0000] "GET /a?b=%22 HTTP/1.1" 200 13"#;
    assert_eq!(logged(LogFormat::Common), expected);
}

#[test]
fn combined_lines_add_referrer_and_user_agent() {
    let expected = r#""GET /a?b=%22 HTTP/1.1" 200 13 "http://r/" "x\x22\x5c\x09\xff y""#;
    assert!(logged(LogFormat::Combined).ends_with(expected));
}

#[test]
fn json_lines_hold_everything() {
    let expected = concat!(
        r#"{"time":"1994-11-06T08:49:37.045Z","peer":"192.0.2.7","method":"GET","#,
        r#""target":"/a?b=%22","protocol":"HTTP/1.1","host":"h","referer":"http://r/","#,
        r#""user_agent":"x\"\\\u0009\ufffd y","status":200,"body_bytes":13,"duration_us":42}"#
    );
    assert_eq!(logged(LogFormat::Json), expected);
}

#[test]
fn an_invalid_head_is_logged_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut log = open(LogFormat::Combined, &path);
    log.record(&Record { peer: None, status: 400, ..record(None) });
    drop(log);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text, "- - - [06/Nov/1994:08:49:37 +0000] \"-\" 400 13 \"-\" \"-\"\n");
}

#[test]
fn a_log_that_is_off_does_nothing() {
    let options = LogOptions { format: LogFormat::Off, target: LogTarget::Stdout };
    let mut log = AccessLog::open(&options).unwrap();
    log.record(&record(None));
    let held = log.hold(&record(None));
    log.record_held(&held, 1, 1);
    log.turn_ended(1_000_000);
    assert!(!log.is_on() && log.next_flush_ms().is_none());
    assert!(log.reopen().is_ok());
}

#[test]
fn a_batch_is_written_when_it_is_old_or_large_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut log = open(LogFormat::Common, &path);
    let length = |path| fs::metadata(path).unwrap().len();

    log.record(&record(None));
    log.turn_ended(1000);
    assert_eq!(log.next_flush_ms(), Some(1000 + BATCH_MS));
    log.turn_ended(1000 + BATCH_MS - 1);
    assert_eq!(length(&path), 0);
    log.turn_ended(1000 + BATCH_MS);
    assert!(length(&path) > 0 && log.next_flush_ms().is_none());

    let before = length(&path);
    while log.batch.len() < BATCH_BYTES {
        log.record(&record(None));
    }
    log.turn_ended(2000);
    assert!(length(&path) >= before + BATCH_BYTES as u64);
    assert!(log.next_flush_ms().is_none());
}

#[test]
fn a_moved_file_is_reopened_and_no_line_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (folder.path().join("log"), folder.path().join("log.1"));
    let mut log = open(LogFormat::Common, &path);
    log.record(&record(None));
    fs::rename(&path, &moved).unwrap();
    log.reopen().unwrap();
    log.record(&record(None));
    log.flush();
    let lines = |path| fs::read_to_string(path).unwrap().lines().count();
    assert_eq!((lines(&moved), lines(&path)), (1, 1));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777 & !0o640, 0);
}

#[test]
fn a_file_that_cannot_be_reopened_leaves_the_old_one_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (folder.path().join("log"), folder.path().join("log.1"));
    let mut log = open(LogFormat::Common, &path);
    fs::rename(&path, &moved).unwrap();
    fs::create_dir(&path).unwrap();
    let error = log.reopen().unwrap_err().to_string();
    assert!(error.contains(path.to_str().unwrap()), "{error}");
    log.record(&record(None));
    log.flush();
    assert!(fs::read(&moved).unwrap().ends_with(b"\n"));
}

/// A log that writes to a pipe as if to standard output, and the pipe's other end.
fn into_pipe() -> (AccessLog, File) {
    let (reader, writer) = std::io::pipe().unwrap();
    let file = File::from(OwnedFd::from(writer));
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(LogFormat::Common, &folder.path().join("log"));
    log.output = Some(Output::over(file));
    (log, File::from(OwnedFd::from(reader)))
}

#[test]
fn a_pipe_without_an_active_reader_blocks_nothing_and_costs_lines_beyond_the_bound() {
    let (mut log, mut reader) = into_pipe();
    let mut recorded = 0u64;
    let mut now_ms = 0;
    while log.dropped < 10 {
        log.record(&record(None));
        recorded += 1;
        now_ms += 1;
        log.turn_ended(now_ms);
    }
    assert!(log.batch.len() - log.written <= PENDING_BYTES_MAX);
    assert!(log.next_flush_ms().is_some_and(|due| due <= now_ms + RETRY_MS));
    let lines = recorded - log.take_dropped();
    assert_eq!(log.take_dropped(), 0);

    // The reader resumes: everything not dropped arrives whole.
    let all = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    });
    while !log.batch.is_empty() {
        log.flush();
    }
    drop(log);
    let text = all.join().unwrap();
    assert_eq!(text.lines().count() as u64, lines);
    let first = text.lines().next().unwrap();
    assert!(text.lines().all(|line| line == first));
}

#[test]
fn the_last_lines_of_a_blocked_log_go_out_when_the_reader_comes_back() {
    let (mut log, mut reader) = into_pipe();
    while !log.blocked {
        log.record(&record(None));
        log.flush();
    }
    let left = log.batch.len() - log.written;
    assert!(left > 0);
    let counted = std::thread::spawn(move || {
        let mut text = Vec::new();
        reader.read_to_end(&mut text).unwrap();
        text
    });
    drop(log);
    assert!(counted.join().unwrap().ends_with(b"\n"));
}

#[test]
fn a_closed_pipe_is_not_an_error() {
    let (mut log, reader) = into_pipe();
    drop(reader);
    // A process that another test starts may have a copy of the reader's end for a moment.
    let is_blocked = (0..100).any(|_| {
        log.record(&record(None));
        log.flush();
        log.blocked || {
            std::thread::sleep(Duration::from_millis(10));
            false
        }
    });
    assert!(is_blocked);
}

#[test]
fn lines_reach_a_pipe_whole_beside_those_of_another_writer() {
    let (mut log, mut reader) = into_pipe();
    for _ in 0..400 {
        log.record(&record(None));
    }
    let other = log.output.as_ref().unwrap().file_for_tests().try_clone().unwrap();
    log.flush();
    assert!(log.batch.is_empty(), "half a pipe's worth fits");
    (&other).write_all(b"other\n").unwrap();
    drop((log, other));
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text.lines().count(), 401);
}

#[test]
fn a_named_pipe_without_a_reader_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let target = LogTarget::File(path.clone());
    let error = AccessLog::open(&LogOptions { format: LogFormat::Json, target }).unwrap_err();
    assert!(error.to_string().contains("needs a reader"), "{error}");
}

#[test]
fn a_line_cut_in_two_by_reopening_is_dropped_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut log = open(LogFormat::Common, &path);
    log.record(&record(None));
    log.record(&record(None));
    log.written = 5;
    log.drop_half_line();
    assert_eq!(log.take_dropped(), 1);
    log.flush();
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
}

#[test]
fn log_files_are_not_inherited_by_children() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(LogFormat::Common, &folder.path().join("log"));
    let fd = log.output.as_ref().unwrap().file_for_tests().as_raw_fd();
    let has = |fd| Command::new("test").args(["-e", &format!("/dev/fd/{fd}")]).status().unwrap();
    assert!(has(0).success() && !has(fd).success());
}
