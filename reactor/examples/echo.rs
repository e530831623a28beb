//! A TCP echo server: `cargo run --example echo 127.0.0.1:7000`, then `nc 127.0.0.1 7000`.
//!
//! A connection with bytes to write is not read from: a client that never reads costs one buffer.

use stampede_reactor::buffer::{Buffer, BufferPool, Class};
use stampede_reactor::event_loop::{Config, EventLoop, Handler};
use stampede_reactor::{Interest, Readiness, Token, Trigger};
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Result, Write};
use std::net::{TcpListener, TcpStream};

const CONNECTIONS_MAX: u32 = 1000;

struct Echo {
    listener: TcpListener,
    pool: BufferPool,
    /// The buffer holds what is still to be written.
    connections: HashMap<Token, (TcpStream, Option<Buffer>)>,
}

impl Echo {
    fn accept(&mut self, ev: &mut EventLoop) -> Result<()> {
        let (stream, _) = self.listener.accept()?;
        stream.set_nonblocking(true)?;
        if let Ok(token) = ev.register(&stream, Interest::BOTH, Trigger::Edge) {
            self.connections.insert(token, (stream, None));
        } // else there are too many, and the stream is closed
        Ok(())
    }

    /// Writes what is left of the last read, or else reads once and writes that.
    fn echo(&mut self, ev: &mut EventLoop, token: Token) -> Result<()> {
        let Some((stream, unsent)) = self.connections.get_mut(&token) else {
            return self.accept(ev); // the only source that is not a connection
        };
        let buffer = unsent.take().or_else(|| self.pool.take(0));
        let mut buffer = buffer.ok_or(ErrorKind::OutOfMemory)?;
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
        match self.echo(ev, token).map_err(|error| error.kind()) {
            Ok(()) => ev.defer(token, Readiness::READABLE), // perhaps there is more: next turn
            Err(ErrorKind::WouldBlock) => {}                // until the next edge
            Err(_) if self.connections.remove(&token).is_some() => ev.release(token),
            Err(_) => ev.set_deadline(token, ev.now_ms() + 100), // out of descriptors, perhaps
        }
    }

    fn timeout(&mut self, ev: &mut EventLoop, token: Token) {
        ev.defer(token, Readiness::READABLE); // accepts again
    }
}

fn main() -> Result<()> {
    let listener = TcpListener::bind(std::env::args().nth(1).unwrap_or("127.0.0.1:7000".into()))?;
    println!("listening on {}", listener.local_addr()?);
    listener.set_nonblocking(true)?;
    let mut ev = EventLoop::new(Config::with_sources(CONNECTIONS_MAX))?;
    ev.register(&listener, Interest::READABLE, Trigger::Edge)?;
    let pool = BufferPool::new(&[Class::new(16 * 1024, CONNECTIONS_MAX as usize)])?;
    ev.run(&mut Echo { listener, pool, connections: HashMap::new() })
}
