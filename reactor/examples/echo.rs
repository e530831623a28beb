//! A TCP echo server: `cargo run --example echo 127.0.0.1:7000`, then `nc 127.0.0.1 7000`.
//!
//! A connection that has bytes to write is not read from: a client that sends and never reads is
//! stopped by TCP and costs one buffer.

use reactor::buffer::{Buffer, BufferPool, Class};
use reactor::event_loop::{Config, EventLoop, Handler};
use reactor::{Interest, Readiness, Token, Trigger};
use std::io::{ErrorKind, Read, Result, Write};
use std::net::{TcpListener, TcpStream};

const CONNECTIONS_MAX: u32 = 1000;

struct Echo {
    listener: TcpListener,
    listening: Token,
    pool: BufferPool,
    /// By slot; the buffer holds what is still to be written.
    connections: Vec<Option<(TcpStream, Option<Buffer>)>>,
}

impl Echo {
    fn accept(&mut self, ev: &mut EventLoop) -> Result<()> {
        let (stream, _) = self.listener.accept()?;
        stream.set_nonblocking(true)?;
        let Some(token) = ev.reserve() else {
            return Ok(());
        }; // full: the stream is closed
        ev.watch(token, &stream, Interest::BOTH, Trigger::Edge)?;
        self.connections[token.slot() as usize] = Some((stream, None));
        Ok(())
    }

    /// Reads once, unless something is left of the last time, and writes it.
    fn echo(&mut self, token: Token) -> Result<()> {
        let connection = &mut self.connections[token.slot() as usize];
        let (stream, unsent) = connection.as_mut().expect("a source that was not released");
        let mut buffer = unsent
            .take()
            .or_else(|| self.pool.take(0))
            .expect("one each");
        if buffer.is_empty() {
            match stream.read(buffer.spare_mut())? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                count => buffer.filled(count),
            }
        }
        let result = stream.write(&buffer).map(|count| buffer.advance(count));
        *unsent = (!buffer.is_empty()).then_some(buffer);
        result
    }
}

impl Handler for Echo {
    fn ready(&mut self, ev: &mut EventLoop, token: Token, _: Readiness) {
        let listening = token == self.listening;
        match if listening {
            self.accept(ev)
        } else {
            self.echo(token)
        } {
            Ok(()) => ev.defer(token, Readiness::READABLE), // perhaps there is more: next turn
            Err(error) if error.kind() == ErrorKind::WouldBlock => {} // until the next edge
            Err(_) if listening => ev.set_deadline(token, ev.now_ms() + 100), // no descriptors?
            Err(_) => {
                self.connections[token.slot() as usize] = None; // closes it
                ev.release(token);
            }
        }
    }

    fn timeout(&mut self, ev: &mut EventLoop, token: Token) {
        ev.defer(token, Readiness::READABLE); // accept again
    }
}

fn main() -> Result<()> {
    let listener = TcpListener::bind(std::env::args().nth(1).unwrap_or("127.0.0.1:7000".into()))?;
    println!("listening on {}", listener.local_addr()?);
    listener.set_nonblocking(true)?;
    let mut ev = EventLoop::new(Config {
        sources_max: CONNECTIONS_MAX,
        ..Config::default()
    })?;
    let listening = ev.reserve().expect("the first source");
    ev.watch(listening, &listener, Interest::READABLE, Trigger::Edge)?;
    let pool = BufferPool::new(&[Class {
        size: 16 * 1024,
        count: CONNECTIONS_MAX as usize,
    }])?;
    let connections = (0..CONNECTIONS_MAX).map(|_| None).collect();
    ev.run(&mut Echo {
        listener,
        listening,
        pool,
        connections,
    })
}
