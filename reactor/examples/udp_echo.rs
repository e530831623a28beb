//! A UDP echo server: `cargo run --example udp_echo 127.0.0.1:7000`, then `nc -u 127.0.0.1 7000`.
//!
//! The standard library's `UdpSocket`, non-blocking and watched, is all that it takes. A datagram
//! arrives whole or not at all, so there is one buffer, of the size of the largest, and no state of
//! clients. When the kernel's send queue is full, one datagram is kept until there is room; those
//! that arrive meanwhile wait in the kernel, which drops what does not fit. (Not for the Internet:
//! the sender's address may be forged, and two such servers could echo each other forever.)

use stampede_reactor::event_loop::{Config, EventLoop, Handler};
use stampede_reactor::{Interest, Readiness, Token, Trigger};
use std::io::{ErrorKind, Result};
use std::net::{SocketAddr, UdpSocket};

/// Datagrams a turn: other sources, if there were any, and timers have to wait for that long.
pub(crate) const BUDGET: usize = 64;

struct Echo {
    socket: UdpSocket,
    buffer: Box<[u8]>,
    /// The length of the datagram in the buffer, and its sender, if it is still to be sent back.
    unsent: Option<(usize, SocketAddr)>,
}

impl Echo {
    /// One datagram, there or back and there. `WouldBlock` means to wait for the next event.
    fn echo(&mut self) -> Result<()> {
        let (len, sender) = match self.unsent.take() {
            Some(unsent) => unsent,
            None => self.socket.recv_from(&mut self.buffer)?,
        };
        match self.socket.send_to(&self.buffer[..len], sender) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.unsent = Some((len, sender));
                Err(error)
            }
            // Any other error is this datagram's alone (no route to its sender, a firewall).
            _ => Ok(()),
        }
    }
}

impl Handler for Echo {
    fn ready(&mut self, ev: &mut EventLoop, token: Token, _: Readiness) {
        for _ in 0..BUDGET {
            // Any other error of the socket was about an earlier datagram, and is taken with this.
            if self.echo().is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
                return; // until the next edge
            }
        }
        ev.defer(token, Readiness::READABLE); // perhaps there are more: next turn
    }

    fn timeout(&mut self, _: &mut EventLoop, _: Token) {}
}

pub(crate) fn serve(socket: UdpSocket) -> Result<()> {
    socket.set_nonblocking(true)?;
    let mut ev = EventLoop::new(Config::with_sources(1))?;
    ev.register(&socket, Interest::BOTH, Trigger::Edge)?;
    ev.run(&mut Echo { socket, buffer: vec![0; 65_536].into(), unsent: None })
}

fn main() -> Result<()> {
    let socket = UdpSocket::bind(std::env::args().nth(1).unwrap_or("127.0.0.1:7000".into()))?;
    println!("listening on {}", socket.local_addr()?);
    serve(socket)
}
