//! Reads a request from standard input and prints how it was understood, or why and at which byte
//! it was refused.
//!
//! ```text
//! printf 'GET / HTTP/1.1\r\nHost: a\r\n\r\n' | cargo run -p stampede-http --example parse
//! ```

use std::io::{self, Read};
use std::process::ExitCode;

use stampede_http::{Connection, Event, Head, Limits, Request};

fn main() -> io::Result<ExitCode> {
    let mut input = Vec::new();
    io::stdin().read_to_end(&mut input)?;
    let limits = Limits::default();
    let (mut connection, mut head) = (Connection::new(), Head::new(&limits));
    let mut at = 0;
    loop {
        let step = match connection.next(&input[at..], &mut head, &limits) {
            Ok(step) => step,
            Err(error) => return Ok(refused(error, &input, at)),
        };
        let piece = &input[at..];
        at += step.consumed;
        match step.event {
            Event::Head => print_head(head.request(piece), &connection),
            Event::Data { start, len } => {
                println!("data       {len} bytes: {}", text(&piece[start..start + len]))
            }
            Event::End => println!("body ends"),
            Event::NeedMore => break,
        }
    }
    match connection.eof() {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => Ok(refused(error, &input, at)),
    }
}

fn print_head(request: Request<'_>, connection: &Connection) {
    println!("method     {}", text(request.method_text()));
    println!("target     {} ({:?} form)", text(request.target()), request.form());
    println!("path       {}", text(request.path()));
    if let Some(query) = request.query() {
        println!("query      {}", text(query));
    }
    println!("host       {}", text(request.host()));
    println!("version    {:?}", request.version());
    for (name, value) in request.fields() {
        println!("field      {}: {}", text(name), text(value));
    }
    println!("body       {:?}", request.framing());
    println!("persists   {}", connection.persists());
    println!("wants 100  {}\n", connection.expects_continue());
}

fn refused(error: stampede_http::Error, input: &[u8], before: usize) -> ExitCode {
    let at = before + error.offset;
    let (good, rest) = input.split_at(at.min(input.len()));
    let last = &good[good.len().saturating_sub(40)..];
    println!("refused    {}", error.status());
    println!("because    {}", error.kind.text());
    println!("at byte    {at}, the one after {:?}", text(last));
    if let Some(byte) = rest.first() {
        println!("which is   {:#04x} {:?}", byte, char::from(*byte));
    }
    ExitCode::FAILURE
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
