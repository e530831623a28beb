//! Holds keep-alive connections to a server: one of the processes that `measure/hold.py` starts,
//! because one process has descriptors for only some of them.
//!
//! ```text
//! hold IP:PORT COUNT SOURCE      SOURCE: the number of its first source address, from 127.1.0.0
//!
//!   opens COUNT connections, a request on each                ──► "held COUNT"
//!   a line on standard input: another request on each         ──► "answered COUNT"
//!   the end of standard input: exits
//! ```
//!
//! It opens a batch of connections, then sends all requests, then reads all answers, so that
//! neither side waits for the other at each step.

use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};

#[allow(dead_code)]
#[path = "../../tests/common/os.rs"]
mod os;

/// Connections opened at a time. Even with many of these processes, the server's queues, of some
/// hundred connections each, do not overflow.
const BATCH: usize = 64;
/// Source addresses of one process: with fewer, finding a free port takes longer and longer.
const SOURCES: u32 = 8;

const REQUEST: &[u8] = b"GET /plaintext HTTP/1.1\r\nHost: hold\r\n\r\n";
const ANSWER_START: &[u8] = b"HTTP/1.1 200 ";
const ANSWER_END: &[u8] = b"\r\n\r\nHello, World!";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, count, source] = &arguments[..] else {
        return Err("usage: hold IP:PORT COUNT SOURCE".into());
    };
    let (server, count, source) = (server.parse()?, count.parse()?, source.parse()?);
    os::raise_descriptor_limit();
    let mut held = open(server, count, source)?;
    println!("held {}", held.len());
    if io::stdin().read_line(&mut String::new())? > 0 {
        for batch in held.chunks_mut(BATCH) {
            ask(batch)?;
        }
        println!("answered {}", held.len());
        io::stdin().read_line(&mut String::new())?;
    }
    Ok(())
}

fn open(server: SocketAddrV4, count: usize, source: u32) -> io::Result<Vec<TcpStream>> {
    let mut held = Vec::with_capacity(count);
    while held.len() < count {
        let begin = held.len();
        for number in begin..count.min(begin + BATCH) {
            let source = source + number as u32 % SOURCES;
            let source = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 1, 0, 0)) + source);
            held.push(os::connect_from(source, server)?);
        }
        ask(&mut held[begin..])?;
    }
    Ok(held)
}

/// One request on each, and its answer.
fn ask(connections: &mut [TcpStream]) -> io::Result<()> {
    for connection in connections.iter_mut() {
        connection.write_all(REQUEST)?;
    }
    connections.iter_mut().try_for_each(read_answer)
}

fn read_answer(connection: &mut TcpStream) -> io::Result<()> {
    let (mut answer, mut len) = ([0; 512], 0);
    while !answer[..len].ends_with(ANSWER_END) {
        let read = connection.read(&mut answer[len..])?;
        len += read;
        if read == 0 || !answer.starts_with(&ANSWER_START[..len.min(ANSWER_START.len())]) {
            let text = String::from_utf8_lossy(&answer[..len]).into_owned();
            return Err(io::Error::other(format!("unexpected answer: {text:?}")));
        }
    }
    Ok(())
}
