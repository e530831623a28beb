//! The CPU time of a TCP proxy: `examples/proxy.rs` beside the same on mio.
//!
//! ```text
//! cargo bench -p stampede-reactor --bench proxy           a table in Markdown, half a minute
//! cargo bench -p stampede-reactor --bench proxy -- 101    with so many rounds
//! ```
//!
//! Both proxies run at the same time, each on a thread of its own, and are loaded in turn, in many
//! short rounds, so that a disturbance of the machine hits them alike. What is measured is the CPU
//! time of the proxy's thread alone (`/proc/thread-self/schedstat`, the kernel's part included);
//! what counts is the median of the rounds. Linux only.

#[path = "../../examples/proxy.rs"]
#[allow(dead_code)]
mod on_reactor;

mod on_mio;

use std::io::{Read, Result, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;

type Serve = fn(TcpListener, SocketAddr) -> Result<()>;
/// Loads the proxy at an address; returns how many units that was.
type Load = fn(SocketAddr) -> usize;

const BULK_BYTES: usize = 32 << 20;
const CLIENTS: usize = 32;
const REQUESTS_EACH: usize = 20;
const CONNECTIONS: usize = 200;

/// A proxy on its thread.
struct Proxy {
    address: SocketAddr,
    /// Where the kernel tells the thread's CPU time.
    schedstat: PathBuf,
}

impl Proxy {
    fn start(serve: Serve, upstream: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let thread = std::fs::read_link("/proc/thread-self").expect("Linux");
            sender.send(thread).expect("it is waited for");
            serve(listener, upstream).expect("serves until the end");
        });
        let thread = receiver.recv().expect("started");
        Proxy { address, schedstat: PathBuf::from("/proc").join(thread).join("schedstat") }
    }

    fn cpu_ns(&self) -> f64 {
        let line = std::fs::read_to_string(&self.schedstat).expect("the thread runs");
        line.split(' ').next().and_then(|ns| ns.parse().ok()).expect("nanoseconds")
    }

    /// What a unit of `load` costs the proxy.
    fn measure(&self, load: Load) -> f64 {
        let before = self.cpu_ns();
        let units = load(self.address);
        (self.cpu_ns() - before) / units as f64
    }
}

/// An upstream server: each connection is echoed by a thread.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut buffer = vec![0; 64 * 1024];
                while let Ok(count @ 1..) = (&stream).read(&mut buffer) {
                    if (&stream).write_all(&buffer[..count]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn connect(proxy: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(proxy).expect("it listens");
    stream.set_nodelay(true).expect("TCP");
    stream
}

/// There and back; a unit is a KiB of either.
fn bulk(proxy: SocketAddr) -> usize {
    let stream = connect(proxy);
    thread::scope(|scope| {
        scope.spawn(|| {
            let piece = vec![b'x'; 64 * 1024];
            for _ in 0..BULK_BYTES / piece.len() {
                (&stream).write_all(&piece).expect("taken");
            }
            stream.shutdown(Shutdown::Write).expect("connected");
        });
        let (mut buffer, mut received) = (vec![0; 64 * 1024], 0);
        while let Ok(count @ 1..) = (&stream).read(&mut buffer) {
            received += count;
        }
        assert_eq!(received, BULK_BYTES);
    });
    2 * BULK_BYTES / 1024
}

/// Requests of 100 bytes and answers of as many, on connections that stay.
fn requests(proxy: SocketAddr) -> usize {
    let mut streams: Vec<_> = (0..CLIENTS).map(|_| connect(proxy)).collect();
    for _ in 0..REQUESTS_EACH {
        streams.iter_mut().for_each(|stream| stream.write_all(&[b'x'; 100]).expect("taken"));
        streams.iter_mut().for_each(|stream| stream.read_exact(&mut [0; 100]).expect("echoed"));
    }
    CLIENTS * REQUESTS_EACH
}

/// Connections with one request each.
fn connections(proxy: SocketAddr) -> usize {
    for _ in 0..CONNECTIONS {
        let mut stream = connect(proxy);
        stream.write_all(b"x").expect("taken");
        stream.read_exact(&mut [0; 1]).expect("echoed");
    }
    CONNECTIONS
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let rounds = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let rounds: usize = rounds.unwrap_or(41);
    let upstream = echo();
    // Ours twice: how far a measurement is from itself.
    let serve: [Serve; 3] = [on_reactor::serve, on_reactor::serve, on_mio::serve];
    let proxies = serve.map(|serve| Proxy::start(serve, upstream));
    println!("| CPU, ns per | reactor | mio | reactor / mio | reactor / reactor |");
    println!("|---|---:|---:|---:|---:|");
    let loads: [(&str, Load); 3] =
        [("KiB", bulk), ("request", requests), ("connection", connections)];
    for (unit, load) in loads {
        let mut costs = [const { Vec::new() }; 3];
        for round in 0..=rounds {
            for turn in 0..3 {
                let index = (turn + round) % 3; // no one always follows the same other
                let cost = proxies[index].measure(load);
                if round > 0 {
                    costs[index].push(cost); // the first round warms up
                }
            }
        }
        let [ours, control, theirs] = costs.map(median);
        let (ratio, same) = (ours / theirs, ours / control);
        println!("| {unit} | {ours:.0} | {theirs:.0} | {ratio:.2} | {same:.2} |");
    }
}
