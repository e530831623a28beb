//! Requests one resource from a server, with the client's side of this crate over a socket:
//!
//! ```text
//! get HOST:PORT /PATH      its content to standard output, its head to standard error
//! ```

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::ExitCode;

use stampede_http::client::{Connection, Event, ResponseHead, request};
use stampede_http::{Limits, Method};

/// At least the longest head; the rest is for content.
const BUFFER_BYTES: usize = 64 * 1024;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [host, target] = &words[..] else {
        eprintln!("usage: get HOST:PORT /PATH");
        return ExitCode::FAILURE;
    };
    match get(host, target) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("get: {host}{target}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn get(host: &str, target: &str) -> Result<(), Box<dyn Error>> {
    let mut out = Vec::new();
    request::line(&mut out, b"GET", target.as_bytes())?;
    request::host(&mut out, host.as_bytes())?;
    request::end(&mut out);

    let mut stream = TcpStream::connect(host)?;
    let mut connection = Connection::new();
    connection.sent(Method::Get)?;
    stream.write_all(&out)?;
    receive(&mut stream, &mut connection)
}

/// Reads until the response is complete.
fn receive(stream: &mut TcpStream, connection: &mut Connection) -> Result<(), Box<dyn Error>> {
    let limits = Limits::default().with_body(u64::MAX);
    let mut head = ResponseHead::new(&limits);
    let mut buffer = vec![0; BUFFER_BYTES];
    // Bytes received and not yet consumed are at the front.
    let mut filled = 0;
    loop {
        let mut at = 0;
        loop {
            let input = &buffer[at..filled];
            let step = connection.next(input, &mut head, &limits)?;
            match step.event {
                Event::NeedMore => {
                    at += step.consumed;
                    break;
                }
                Event::Interim => {}
                Event::Head => {
                    eprintln!("{}", String::from_utf8_lossy(head.response(input).head_bytes()));
                    if !connection.body_follows() {
                        return Ok(());
                    }
                }
                Event::Data { start, len } => {
                    std::io::stdout().write_all(&input[start..start + len])?;
                }
                Event::End => return Ok(()),
            }
            at += step.consumed;
        }
        buffer.copy_within(at..filled, 0);
        filled -= at;
        match stream.read(&mut buffer[filled..])? {
            0 => return end(connection),
            len => filled += len,
        }
    }
}

/// The server has closed: that may be the end of the content.
fn end(connection: &mut Connection) -> Result<(), Box<dyn Error>> {
    match connection.eof()? {
        Some(_) => Ok(()),
        None => Err("the server closed without an answer".into()),
    }
}
