//! A TCP proxy: `cargo run --example proxy 127.0.0.1:7000 127.0.0.1:8080` (listens, upstream).
//!
//! A socket is not read from while its peer has not taken what came before: a slow reader slows its
//! sender down. The end of one's bytes ends the other's; an error resets it, so as not to look so.

use stampede_reactor::buffer::{Buffer, BufferPool, Class};
use stampede_reactor::event_loop::{Config, EventLoop, Handler};
use stampede_reactor::{Interest, Readiness, Stream, Token, Trigger};
use std::io::{Error, ErrorKind, Result};
use std::{collections::HashMap, net::SocketAddr, net::TcpListener, time::Duration};

struct Socket {
    stream: Stream,
    peer: Token,
    unsent: Option<Buffer>, // received here, and not yet taken by the peer
    finished: bool,
}

struct Proxy {
    listener: TcpListener,
    upstream: SocketAddr,
    pool: BufferPool,
    sockets: HashMap<Token, Socket>, // all sources but the listener
}

impl Proxy {
    fn accept(&mut self, ev: &mut EventLoop, token: Token) -> Result<()> {
        let client = Stream::from(self.listener.accept()?.0);
        ev.defer(token, Readiness::READABLE); // perhaps there are more: next turn
        client.set_nonblocking(true)?;
        let server = Stream::connect(self.upstream)?;
        let mut reserved = ev.reserve_guarded()?; // for the client: watched once there is a server
        let token = reserved.register(&server, Interest::BOTH, Trigger::Edge)?;
        reserved.set_deadline_after(token, Duration::from_secs(5));
        let peer = reserved.keep();
        for (token, stream, peer) in [(token, server, peer), (peer, client, token)] {
            let _ = stream.set_nodelay(true);
            self.sockets.insert(token, Socket { stream, peer, unsent: None, finished: false });
        }
        Ok(())
    }

    /// Moves a bufferful, or fails with `WouldBlock`. The next one waits for its turn.
    fn forward(&mut self, ev: &mut EventLoop, source: Token, to: Token) -> Result<()> {
        let [from, to] = self.sockets.get_disjoint_mut([&source, &to]).map(Option::unwrap);
        let mut buffer = from.unsent.take().or_else(|| self.pool.take(0)).expect("one for each");
        if buffer.is_empty() {
            let count = from.stream.recv(buffer.spare_mut())?;
            if count == 0 {
                from.finished = true;
                return to.stream.shutdown_write();
            }
            buffer.filled(count);
        }
        let result = to.stream.send(&buffer).map(|count| buffer.advance(count));
        from.unsent = (!buffer.is_empty()).then_some(buffer);
        result.map(|()| ev.defer(source, Readiness::READABLE))
    }
}

impl Handler for Proxy {
    fn ready(&mut self, ev: &mut EventLoop, token: Token, readiness: Readiness) {
        let is_failure = |error: Error| error.kind() != ErrorKind::WouldBlock;
        let Some(&Socket { peer, .. }) = self.sockets.get(&token) else {
            if self.accept(ev, token).is_err_and(is_failure) {
                ev.set_deadline_after(token, Duration::from_millis(100)); // no descriptor, perhaps
            }
            return;
        };
        let mut failed = readiness.is_error();
        if ev.deadline(token).is_some() {
            let [server, client] = [token, peer].map(|token| &self.sockets[&token].stream);
            failed |= !server.connected().unwrap_or(false)
                || ev.watch(peer, client, Interest::BOTH, Trigger::Edge).is_err();
            ev.clear_deadline(token);
        }
        for (from, to) in [(token, peer), (peer, token)] {
            let Socket { unsent, finished, .. } = &self.sockets[&from];
            if !finished && !failed && (from == token || unsent.is_some()) {
                failed = self.forward(ev, from, to).is_err_and(is_failure);
            }
        }
        if failed || [token, peer].iter().all(|token| self.sockets[token].finished) {
            for token in [token, peer] {
                ev.release(token);
                let socket = self.sockets.remove(&token).filter(|_| failed);
                socket.map(|socket| socket.stream.set_linger(Some(Duration::ZERO)));
            }
        }
    }

    fn timeout(&mut self, ev: &mut EventLoop, token: Token) {
        self.ready(ev, token, Readiness::ERROR); // of a connect, or of the pause in accepting
    }
}

pub(crate) fn serve(listener: TcpListener, upstream: SocketAddr) -> Result<()> {
    const PAIRS_MAX: u32 = 1000;
    listener.set_nonblocking(true)?;
    let mut ev = EventLoop::new(Config::with_sources(2 * PAIRS_MAX + 1))?;
    ev.register(&listener, Interest::READABLE, Trigger::Edge)?;
    let pool = BufferPool::new(&[Class::new(64 * 1024, 2 * PAIRS_MAX as usize)])?;
    ev.run(&mut Proxy { listener, upstream, pool, sockets: HashMap::new() })
}

fn main() -> Result<()> {
    let [listen, upstream] = [1, 2].map(|index| std::env::args().nth(index).unwrap_or_default());
    serve(TcpListener::bind(listen)?, upstream.parse().map_err(Error::other)?)
}
