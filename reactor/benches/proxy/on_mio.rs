//! The proxy of `examples/proxy.rs` on mio: the same steps, with what mio has for them.
//!
//! Sockets have numbers of their own, because mio leaves it to its user which token is whose; and
//! a turn's budget, a list of those that have more to do.

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Result, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

const LISTENER: Token = Token(0);
const BUFFER_BYTES: usize = 64 * 1024;

struct Socket {
    stream: TcpStream,
    peer: Token,
    unsent: Vec<u8>,
    sent: usize,
    finished: bool,
    connecting: bool,
}

struct Proxy {
    poll: Poll,
    listener: TcpListener,
    upstream: SocketAddr,
    sockets: HashMap<Token, Socket>,
    next: usize,
    buffer: Box<[u8]>,
    again: Vec<Token>,
}

impl Proxy {
    fn accept(&mut self) -> Result<()> {
        let client = self.listener.accept()?.0;
        self.again.push(LISTENER);
        let mut server = TcpStream::connect(self.upstream)?;
        let (token, peer) = (Token(self.next), Token(self.next + 1));
        self.next += 2;
        self.poll.registry().register(
            &mut server,
            token,
            Interest::READABLE | Interest::WRITABLE,
        )?;
        for (token, stream, peer) in [(token, server, peer), (peer, client, token)] {
            let _ = stream.set_nodelay(true);
            let connecting = token.0 < peer.0;
            let (unsent, sent, finished) = (Vec::new(), 0, false);
            let socket = Socket { stream, peer, unsent, sent, finished, connecting };
            self.sockets.insert(token, socket);
        }
        Ok(())
    }

    fn forward(&mut self, source: Token, to: Token) -> Result<()> {
        let [from, to] = self.sockets.get_disjoint_mut([&source, &to]).map(Option::unwrap);
        if !from.unsent.is_empty() {
            from.sent += to.stream.write(&from.unsent[from.sent..])?;
            if from.sent == from.unsent.len() {
                (from.unsent, from.sent) = (Vec::new(), 0);
            }
        } else {
            let count = from.stream.read(&mut self.buffer)?;
            if count == 0 {
                from.finished = true;
                return to.stream.shutdown(Shutdown::Write);
            }
            let sent = match to.stream.write(&self.buffer[..count]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                result => result?,
            };
            from.unsent.extend_from_slice(&self.buffer[sent..count]);
        }
        self.again.push(source);
        Ok(())
    }

    fn ready(&mut self, token: Token, readable: bool, writable: bool, error: bool) {
        let is_failure = |error: std::io::Error| error.kind() != ErrorKind::WouldBlock;
        if token == LISTENER {
            let _ = self.accept();
            return;
        }
        let Some(&Socket { peer, connecting, .. }) = self.sockets.get(&token) else { return };
        let mut failed = error;
        if connecting {
            let [server, client] = self.sockets.get_disjoint_mut([&token, &peer]);
            let (server, client) = (server.unwrap(), client.unwrap());
            server.connecting = false;
            let both = Interest::READABLE | Interest::WRITABLE;
            failed |= server.stream.peer_addr().is_err()
                || self.poll.registry().register(&mut client.stream, peer, both).is_err();
        }
        for (from, to, is_ready) in [(token, peer, readable), (peer, token, writable)] {
            let Socket { unsent, finished, .. } = &self.sockets[&from];
            if !finished && !failed && is_ready && (from == token || !unsent.is_empty()) {
                failed = self.forward(from, to).is_err_and(is_failure);
            }
        }
        if failed || [token, peer].iter().all(|token| self.sockets[token].finished) {
            self.sockets.remove(&token);
            self.sockets.remove(&peer);
        }
    }
}

pub fn serve(listener: std::net::TcpListener, upstream: SocketAddr) -> Result<()> {
    listener.set_nonblocking(true)?;
    let mut listener = TcpListener::from_std(listener);
    let poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let buffer = vec![0; BUFFER_BYTES].into();
    let (sockets, again) = (HashMap::new(), Vec::new());
    let mut proxy = Proxy { poll, listener, upstream, sockets, next: 1, buffer, again };
    let mut events = Events::with_capacity(256);
    loop {
        let timeout = (!proxy.again.is_empty()).then_some(Duration::ZERO);
        proxy.poll.poll(&mut events, timeout)?;
        let again = std::mem::take(&mut proxy.again);
        for event in &events {
            let (readable, writable) = (event.is_readable(), event.is_writable());
            proxy.ready(event.token(), readable, writable, event.is_error());
        }
        for token in again {
            proxy.ready(token, true, false, false);
        }
    }
}
