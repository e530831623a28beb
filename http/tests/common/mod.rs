//! A driver for tests: feeds bytes in pieces, as a server would, and records the events.

use stampede_http::{Connection, ErrorKind, Event, Framing, Head, Limits};

/// The events of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The requests, the last one perhaps not complete.
    pub requests: Vec<Seen>,
    /// The error and its byte, counted from the first byte of all.
    pub error: Option<(ErrorKind, usize)>,
    /// Whether another request may follow.
    pub persists: bool,
    /// Whether the connection may end here.
    pub may_end: bool,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Everything the view of the head shows, as text.
    pub head: String,
    /// Where the head ends, counted from the first byte of all.
    pub head_end: usize,
    pub framing: Framing,
    pub persists: bool,
    pub expects_continue: bool,
    pub body: Vec<u8>,
    pub complete: bool,
}

/// Feeds `input`, cut after each place in `cuts` (ascending).
pub fn feed(input: &[u8], cuts: &[usize], limits: &Limits) -> Trace {
    let (mut connection, mut head) = (Connection::new(), Head::new(limits));
    let mut trace = Trace::default();
    let mut at = 0;
    for &end in cuts.iter().chain([&input.len()]) {
        let end = end.min(input.len());
        loop {
            let piece = &input[at..end.max(at)];
            let step = match connection.next(piece, &mut head, limits) {
                Ok(step) => step,
                Err(error) => {
                    trace.error = Some((error.kind, at + error.offset));
                    return trace;
                }
            };
            assert!(step.consumed <= piece.len());
            match step.event {
                Event::NeedMore => {
                    at += step.consumed;
                    break;
                }
                Event::Head => {
                    assert_eq!(step.consumed, head.len());
                    trace.requests.push(seen(&head, piece, &connection, at + step.consumed));
                }
                Event::Data { start, len } => {
                    assert!(len > 0 && start + len <= step.consumed);
                    last(&mut trace).body.extend_from_slice(&piece[start..start + len]);
                }
                Event::End => last(&mut trace).complete = true,
            }
            at += step.consumed;
        }
    }
    trace.persists = connection.persists();
    let ended = connection.eof();
    if let Err(error) = ended {
        assert_eq!((error.kind, at + error.offset), (ErrorKind::Incomplete, input.len()));
    }
    trace.may_end = ended.is_ok();
    trace
}

fn last(trace: &mut Trace) -> &mut Seen {
    trace.requests.last_mut().expect("data comes after a head")
}

fn seen(head: &Head, piece: &[u8], connection: &Connection, head_end: usize) -> Seen {
    let request = head.request(piece);
    let fields: Vec<_> = request.fields().map(|(n, v)| (text(n), text(v))).collect();
    Seen {
        head: format!(
            "{:?} {} {:?} {} {} {:?} host={} {:?} {fields:?} {}",
            request.method(),
            text(request.method_text()),
            request.form(),
            text(request.target()),
            text(request.path()),
            request.query().map(text),
            text(request.host()),
            request.version(),
            text(request.head_bytes()),
        ),
        head_end,
        framing: request.framing(),
        persists: connection.persists(),
        expects_continue: connection.expects_continue(),
        body: Vec::new(),
        complete: !connection.body_follows(),
    }
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// Asserts that every single cut, one byte at a time, and no cut at all give the same.
#[allow(dead_code, reason = "not every test cuts everywhere")]
pub fn assert_cuts_agree(input: &[u8], limits: &Limits) -> Trace {
    let whole = feed(input, &[], limits);
    let bytes: Vec<usize> = (0..=input.len()).collect();
    assert_eq!(feed(input, &bytes, limits), whole, "byte by byte: {}", text(input));
    // Very long inputs are cut at some places only.
    let stride = 1 + input.len() / 2000;
    for cut in (0..input.len()).step_by(stride) {
        assert_eq!(feed(input, &[cut], limits), whole, "cut at {cut}: {}", text(input));
    }
    whole
}
