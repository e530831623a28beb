//! A driver for tests: feeds responses in pieces, as a load generator would, and records the
//! events.

use stampede_http::client::{Asked, Connection, Event, Framing, ResponseHead};
use stampede_http::{ErrorKind, Limits};

/// The events of a connection, up to the end of what the server sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Interim and final responses, the last one perhaps not complete.
    pub responses: Vec<Seen>,
    /// The error and its byte, counted from the first byte of all.
    pub error: Option<(ErrorKind, usize)>,
    /// Whether another request could have followed, had the server not closed.
    pub persists: bool,
    /// Requests that were not answered.
    pub unanswered: usize,
    /// Bytes that were left for another protocol.
    pub tunnelled: Vec<u8>,
}

/// One response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub interim: bool,
    pub code: u16,
    /// Everything the view of the head shows, as text.
    pub head: String,
    /// Where the head ends, counted from the first byte of all.
    pub head_end: usize,
    pub framing: Framing,
    pub body: Vec<u8>,
    pub complete: bool,
}

/// Feeds `input`, cut after each place in `cuts` (ascending), as what answers `asked`; then the
/// server closes.
pub fn feed(input: &[u8], cuts: &[usize], asked: &[Asked], limits: &Limits) -> Trace {
    let (mut connection, mut head) = (Connection::new(), ResponseHead::new(limits));
    for &asked in asked {
        connection.sent(asked).expect("few requests");
    }
    let mut trace = Trace::default();
    let mut at = 0;
    for &end in cuts.iter().chain([&input.len()]) {
        let end = end.min(input.len()).max(at);
        match feed_piece(input, at, end, &mut connection, &mut head, limits, &mut trace) {
            Ok(next) => at = next,
            Err(error) => {
                trace.error = Some(error);
                assert!(!connection.persists());
                assert_eq!(connection.eof(), Ok(None), "an error is reported once");
                return trace;
            }
        }
        let held = end - at;
        assert!(held < limits.head() || in_tunnel(&trace), "{held} bytes held");
    }
    trace.persists = connection.persists();
    trace.unanswered = connection.outstanding();
    trace.tunnelled = if in_tunnel(&trace) { input[at..].to_vec() } else { Vec::new() };
    match connection.eof() {
        Ok(None) => {}
        Ok(Some(event)) => {
            assert_eq!(event, Event::End);
            last(&mut trace).complete = true;
        }
        Err(error) => {
            assert_eq!(at + error.offset, input.len());
            trace.error = Some((error.kind, input.len()));
        }
    }
    trace
}

/// Takes all steps through `input[at..end]`. Returns the offset of the first byte that was not
/// consumed.
fn feed_piece(
    input: &[u8],
    mut at: usize,
    end: usize,
    connection: &mut Connection,
    head: &mut ResponseHead,
    limits: &Limits,
    trace: &mut Trace,
) -> Result<usize, (ErrorKind, usize)> {
    loop {
        let piece = &input[at..end];
        let step = connection.next(piece, head, limits);
        let step = step.map_err(|error| (error.kind, at + error.offset))?;
        assert!(step.consumed <= piece.len());
        let begin = at;
        at += step.consumed;
        match step.event {
            Event::NeedMore => return Ok(at),
            Event::Interim | Event::Head => {
                assert_eq!(step.consumed, head.len());
                let interim = step.event == Event::Interim;
                let complete = interim || !connection.body_follows();
                trace.responses.push(Seen { interim, complete, ..seen(head, piece, at) });
            }
            Event::Data { start, len } => {
                assert!(len > 0 && start + len <= step.consumed);
                let body = &mut last(trace).body;
                body.extend_from_slice(&input[begin + start..][..len]);
                assert!(body.len() as u64 <= limits.body());
            }
            Event::End => last(trace).complete = true,
        }
    }
}

fn in_tunnel(trace: &Trace) -> bool {
    trace.responses.last().is_some_and(|last| last.framing == Framing::Tunnel)
}

fn last(trace: &mut Trace) -> &mut Seen {
    trace.responses.last_mut().expect("data comes after a head")
}

fn seen(head: &ResponseHead, piece: &[u8], head_end: usize) -> Seen {
    let response = head.response(piece);
    let fields: Vec<_> = response.fields().map(|(n, v)| (text(n), text(v))).collect();
    Seen {
        interim: false,
        code: response.code(),
        head: format!(
            "{:?} {} {} {fields:?} {}",
            head.version(),
            response.code(),
            text(response.reason()),
            text(response.head_bytes()),
        ),
        head_end,
        framing: head.framing(),
        body: Vec::new(),
        complete: false,
    }
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// Asserts that every single cut, one byte at a time, and no cut at all give the same.
#[allow(dead_code, reason = "not every test cuts everywhere")]
pub fn assert_cuts_agree(input: &[u8], asked: &[Asked], limits: &Limits) -> Trace {
    let whole = feed(input, &[], asked, limits);
    let bytes: Vec<usize> = (0..=input.len()).collect();
    assert_eq!(feed(input, &bytes, asked, limits), whole, "byte by byte: {}", text(input));
    // Very long inputs are cut at some places only.
    let stride = 1 + input.len() / 2000;
    for cut in (0..input.len()).step_by(stride) {
        assert_eq!(feed(input, &[cut], asked, limits), whole, "cut at {cut}: {}", text(input));
    }
    whole
}
