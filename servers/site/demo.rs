//! The demonstration routes: what a client needs to see how a model behaves.
//!
//! | route          | what it asks of the model                                                  |
//! |----------------|----------------------------------------------------------------------------|
//! | `/plaintext`   | nothing: an answer prepared once, the cost of the server itself            |
//! | `/json`        | the same as JSON                                                           |
//! | `/echo`        | the request as it was received, head and body: the classic echo server     |
//! | `/work?us=N`   | *work*: N microseconds of processor time                                   |
//! | `/sleep?ms=N`  | a *wait*: N milliseconds, standing for the answer of another service       |
//! | `/bytes?n=N`   | a large response, made as the client takes it                              |
//!
//! All read only (GET and HEAD), but `/echo`, which answers every method. An argument that is
//! missing has a default; one that is no number, or too large, is a 400 that says what is allowed.
//! Other parameters are ignored, and of a repeated one the first counts.
//!
//! What is *not* guaranteed: that `/work` takes N microseconds by the clock on the wall (it takes
//! as long as N microseconds of processor time take to come by); that `/sleep` waits no longer.

mod echo;
mod pattern;
#[cfg(test)]
pub(super) mod tests;
mod work;

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use http::{Method, Status};

use crate::app::{ALLOW_READ, Action, BodyPlan, Prepared, Request, Response, reads};

/// A demonstration route.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `/plaintext`
    Plaintext,
    /// `/json`
    Json,
    /// `/echo`
    Echo,
    /// `/work?us=N`
    Work,
    /// `/sleep?ms=N`
    Sleep,
    /// `/bytes?n=N`
    Bytes,
}

/// The route that `path` (as it came) names.
#[inline(always)]
pub fn route(path: &[u8]) -> Option<Route> {
    // By itself, as two words: the match compares byte by byte, 30 instructions a request more.
    if path == b"/plaintext" {
        return Some(Route::Plaintext);
    }
    match path {
        b"/json" => Some(Route::Json),
        b"/echo" => Some(Route::Echo),
        b"/work" => Some(Route::Work),
        b"/sleep" => Some(Route::Sleep),
        b"/bytes" => Some(Route::Bytes),
        _ => None,
    }
}

/// Text that no browser takes for anything else: an echoed request may hold anybody's markup.
const TEXT: [(&str, &str); 2] =
    [("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff")];

/// A number in the query: its name, the default and the most that is allowed.
struct Argument {
    name: &'static str,
    unit: &'static str,
    default: u64,
    max: u64,
}

/// 10 s: long enough to see the blocking trap, short enough to wait it out.
const WORK_US: Argument =
    Argument { name: "us", unit: "microseconds", default: 1_000, max: 10_000_000 };
/// One minute, the idle timeout's default: no other service is waited for longer.
const SLEEP_MS: Argument = Argument { name: "ms", unit: "milliseconds", default: 100, max: 60_000 };
/// 1 GiB: a few seconds of loopback.
const BYTES: Argument = Argument { name: "n", unit: "bytes", default: 1_024, max: 1 << 30 };

impl Argument {
    /// The argument in `query`: the default when it is not there, `None` when it is not allowed.
    fn of(&self, query: Option<&[u8]>) -> Option<u64> {
        let given = query
            .unwrap_or_default()
            .split(|&byte| byte == b'&')
            .find_map(|pair| pair.strip_prefix(self.name.as_bytes())?.strip_prefix(b"="));
        match given {
            None => Some(self.default),
            Some(digits) => decimal(digits).filter(|&number| number <= self.max),
        }
    }

    /// Answers 400 and says what is allowed. The value itself is not repeated.
    fn refuse(&self, response: &mut Response<'_>) {
        let Argument { name, unit, default, max } = self;
        let mut text = String::with_capacity(128);
        let _ = writeln!(
            text,
            "400 Bad Request\n\n{name} must be a whole number of {unit} from 0 to {max} \
             (without one: {default})."
        );
        let [kind, nosniff] = TEXT;
        response
            .start(Status::BAD_REQUEST)
            .field(kind.0, kind.1)
            .field(nosniff.0, nosniff.1)
            .bytes(text.as_bytes());
    }
}

/// Digits and nothing else: no sign, no space, no escape.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// The demonstration routes and what they keep.
pub struct Demo {
    plaintext: Prepared,
    json: Prepared,
    echo: echo::Echo,
}

impl Demo {
    /// Prepares the answers. `/echo` takes bodies of up to `body_max` bytes, and holds at most
    /// `memory_max` bytes of echoes that their clients have not read yet.
    ///
    /// # Errors
    /// A prepared field that is none: a mistake in this file.
    pub fn new(body_max: u64, memory_max: usize) -> io::Result<Self> {
        let prepare = |kind: &str, body: &'static [u8]| {
            Prepared::new(Status::OK, &[("Content-Type", kind)], body)
                .map_err(|_| io::Error::other("a prepared answer's field is not valid"))
        };
        Ok(Demo {
            plaintext: prepare("text/plain", b"Hello, World!")?,
            json: prepare("application/json", br#"{"message":"Hello, World!"}"#)?,
            echo: echo::Echo::new(body_max, memory_max),
        })
    }

    /// What to do with the body that follows the head: only `/echo` wants it.
    pub fn body(&self, route: Route) -> BodyPlan {
        match route {
            Route::Echo => BodyPlan::Collect(self.echo.body_max()),
            _ => BodyPlan::Discard,
        }
    }

    /// Answers, or says what the answer needs.
    #[inline(always)]
    pub fn handle(
        &self,
        route: Route,
        request: &Request<'_>,
        response: &mut Response<'_>,
    ) -> Action {
        if !reads(request.method()) && route != Route::Echo {
            refuse_method(request, response);
            return Action::Done;
        }
        match route {
            Route::Plaintext => response.prepared(&self.plaintext),
            Route::Json => response.prepared(&self.json),
            _ => return self.handle_slow_path(route, request, response),
        }
        Action::Done
    }

    /// The routes that are not prepared; apart, so that `handle` stays small.
    fn handle_slow_path(
        &self,
        route: Route,
        request: &Request<'_>,
        response: &mut Response<'_>,
    ) -> Action {
        match route {
            Route::Plaintext | Route::Json => {}
            Route::Echo => self.echo.answer(request, response),
            Route::Work => match WORK_US.of(request.query()) {
                Some(_) => return Action::Work,
                None => WORK_US.refuse(response),
            },
            Route::Sleep => match SLEEP_MS.of(request.query()) {
                Some(ms) => return Action::Wait(Duration::from_millis(ms)),
                None => SLEEP_MS.refuse(response),
            },
            Route::Bytes => match BYTES.of(request.query()) {
                Some(n) => pattern::answer(n, response),
                None => BYTES.refuse(response),
            },
        }
        Action::Done
    }

    /// The work that [`Demo::handle`] asked for: `/work`.
    pub fn work(&self, request: &Request<'_>, response: &mut Response<'_>) {
        let Some(us) = WORK_US.of(request.query()) else {
            return WORK_US.refuse(response);
        };
        let rounds = work::compute(Duration::from_micros(us));
        say(response, format_args!("computed for {us} us: {rounds} rounds\n"));
    }

    /// The wait that [`Demo::handle`] asked for is over: `/sleep`.
    pub fn resume(&self, request: &Request<'_>, response: &mut Response<'_>) -> Action {
        match SLEEP_MS.of(request.query()) {
            Some(ms) => say(response, format_args!("waited for {ms} ms\n")),
            None => SLEEP_MS.refuse(response),
        }
        Action::Done
    }
}

/// A line of text.
fn say(response: &mut Response<'_>, line: std::fmt::Arguments<'_>) {
    let mut text = String::with_capacity(64);
    let _ = text.write_fmt(line);
    response.start(Status::OK).field(TEXT[0].0, TEXT[0].1).bytes(text.as_bytes());
}

/// Answers what a read-only resource answers to another method: OPTIONS learns the methods, any
/// other gets a 405 (RFC 9110, sections 9.3.7 and 15.5.6).
#[cold]
pub fn refuse_method(request: &Request<'_>, response: &mut Response<'_>) {
    if request.method() == Method::Options {
        response.start(Status::NO_CONTENT).field("Allow", ALLOW_READ).empty();
        return;
    }
    response
        .start(Status::METHOD_NOT_ALLOWED)
        .field("Allow", ALLOW_READ)
        .field(TEXT[0].0, TEXT[0].1)
        .bytes(b"405 Method Not Allowed\n");
}
