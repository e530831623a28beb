//! Whatever the cuts of the input, the room in the socket, and the place where work is done: the
//! answers are the same, byte for byte but for the date.

use proptest::prelude::*;

use super::pair::{At, Works};
use super::*;

/// How a connection is driven.
#[derive(Clone, Debug)]
struct Course {
    /// Lengths of the pieces in which the client sends, again and again.
    pieces: Vec<usize>,
    /// Bytes for which the socket has room, again and again.
    rooms: Vec<usize>,
    works: Works,
    all: bool,
}

/// What the client receives, without what may differ: dates, and whether a 100 was needed.
fn received(script: &[u8], course: &Course) -> (String, bool) {
    let mut pair = pair_with(course.works, |options| options.limits.requests = 12);
    pair.cx.offload_all = course.all;
    let mut pieces = course.pieces.iter().cycle();
    let mut rooms = course.rooms.iter().cycle();
    let mut rest = script;
    pair.room = 0;
    loop {
        match pair.at {
            At::Reads if rest.is_empty() => pair.eof(),
            At::Reads => {
                let len = (*pieces.next().expect("cycles")).min(rest.len());
                let (piece, behind) = rest.split_at(len);
                pair.send(piece);
                rest = behind;
            }
            At::Sends => pair.take(*rooms.next().expect("cycles")),
            At::Sleeps => pair.pass(pair.time_left()),
            At::Works => pair.job_done(true),
            At::Queued => pair.has_room(),
            At::Lingers => pair.eof(),
            At::Closed { reset } => {
                pair.end();
                return (without_dates(&pair.received), reset);
            }
        }
    }
}

fn without_dates(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes).replace("HTTP/1.1 100 Continue\r\n\r\n", "");
    let lines = text.split("\r\n").filter(|line| !line.starts_with("Date: "));
    lines.collect::<Vec<_>>().join("\r\n")
}

fn request() -> impl Strategy<Value = Vec<u8>> {
    let target = prop::sample::select(vec![
        "/",
        "/close",
        "/nothing",
        "/shared/5000",
        "/sized/9000",
        "/unsized/9000",
        "/short/20",
        "/broken/20",
        "/wait/5",
        "/wait/5/work",
        "/work",
        "/work/echo",
        "/work/close",
        "/echo",
        "/echo/5",
        "/stream",
    ]);
    let version = prop_oneof![9 => Just("HTTP/1.1"), 1 => Just("HTTP/1.0")];
    let body = prop::option::of((any::<bool>(), "[a-z!]{0,20}", prop::bool::weighted(0.2)));
    (target, version, body).prop_map(|(target, version, body)| {
        let text = match body {
            None => format!("GET {target} {version}\r\nHost: a\r\n\r\n"),
            Some((chunked, body, expects)) => {
                let expect = if expects { "Expect: 100-continue\r\n" } else { "" };
                let (field, body) = framed(chunked && version == "HTTP/1.1", &body);
                format!("POST {target} {version}\r\nHost: a\r\n{expect}{field}\r\n\r\n{body}")
            }
        };
        text.into_bytes()
    })
}

fn framed(chunked: bool, body: &str) -> (String, String) {
    if !chunked {
        return (format!("Content-Length: {}", body.len()), body.to_owned());
    }
    let (first, second) = body.split_at(body.len() / 2);
    let chunk = |part: &str| match part {
        "" => String::new(),
        _ => format!("{:x}\r\n{part}\r\n", part.len()),
    };
    ("Transfer-Encoding: chunked".into(), format!("{}{}0\r\n\r\n", chunk(first), chunk(second)))
}

fn script() -> impl Strategy<Value = Vec<u8>> {
    let broken = prop::sample::select(vec![
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"?\r\n",
        b"\r\n",
        b"GET / HT",
        // Not where the body is discarded: it is refused if it is there before the answer.
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcdef",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\nabc",
    ]);
    let item = prop_oneof![9 => request(), 1 => broken.prop_map(<[u8]>::to_vec)];
    prop::collection::vec(item, 1..8).prop_map(|items| items.concat())
}

fn course() -> impl Strategy<Value = Course> {
    let pieces = prop::collection::vec(prop_oneof![1..4usize, 1..80usize, 1..4000usize], 1..6);
    let rooms = prop::collection::vec(prop_oneof![1..40usize, 1..9000usize], 1..5);
    let works = prop::sample::select(vec![Works::Inline, Works::Elsewhere, Works::Later]);
    (pieces, rooms, works, any::<bool>()).prop_map(|(pieces, rooms, works, all)| Course {
        pieces,
        rooms,
        works,
        all,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_course_gives_the_same_answers(script in script(), course in course()) {
        let (pieces, rooms) = (vec![usize::MAX], vec![usize::MAX]);
        let simple = Course { pieces, rooms, works: Works::Inline, all: false };
        prop_assert_eq!(received(&script, &course), received(&script, &simple));
    }
}
