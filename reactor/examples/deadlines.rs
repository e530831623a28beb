//! What a deadline on a blocking receive costs, by the method used to keep it.
//!
//! A thread answers each request of 64 bytes with as many, over loopback TCP, on one core with its
//! client; measured is the server thread's CPU time per request. The methods take turns in rounds,
//! and the figures are the medians over the rounds.
//!
//! | way | system calls for a request that must be waited for |
//! |---|---|
//! | none | recv, send: no deadline |
//! | set once | the same; `SO_RCVTIMEO` was set at the start |
//! | lazily | the same, and the arithmetic of the way that is recommended (below) |
//! | set each time | setsockopt, recv, send |
//! | set twice | the same with two setsockopt: idle limit before the first byte, head limit after |
//! | poll, recv | poll, recv, send |
//! | recv, poll | recv (in vain), poll, recv, send |
//!
//! *Lazily*: the kernel's timeout is changed only when the wait needed is shorter than the current
//! setting by more than 1/64 of it. A longer wait consists of several: when the receive times out
//! before the caller's deadline, the rest is set and it waits on. Idle limits are longer than those
//! for a head; a head that arrives in one piece never sees the shorter one, so that usually nothing
//! is set but once per connection.
//!
//! "Waits already": requests are sent 16 at a time, so the receive finds one nearly always.
//!
//! ```text
//! taskset -c 1 target/release/examples/deadlines [ROUNDS]
//! ```

use stampede_reactor::{Interest, Stream, net};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};
use std::{env, thread};

const REQUEST_BYTES: usize = 64;
const REQUESTS: usize = 20_000; // in a round; about 0.2 s
const ROUNDS: usize = 9;
const IDLE: Duration = Duration::from_secs(60);
const HEAD: Duration = Duration::from_secs(10);

#[derive(Copy, Clone, PartialEq)]
enum Way {
    None,
    Once,
    Lazily,
    EachTime,
    Twice,
    PollFirst,
    RecvFirst,
}

const WAYS: [(Way, &str); 7] = [
    (Way::None, "none"),
    (Way::Once, "set once"),
    (Way::Lazily, "lazily"),
    (Way::EachTime, "set each time"),
    (Way::Twice, "set twice"),
    (Way::PollFirst, "poll, recv"),
    (Way::RecvFirst, "recv, poll"),
];

/// A blocking stream that remembers the kernel's timeout.
struct Timed {
    stream: Stream,
    set: Duration,
    begin: Instant,
}

impl Timed {
    /// Receives before `deadline` (since `begin`), or `WouldBlock`.
    fn recv_lazily(&mut self, buffer: &mut [u8], deadline: Duration) -> io::Result<usize> {
        loop {
            let left = deadline.saturating_sub(self.begin.elapsed());
            if left + left / 64 < self.set {
                self.stream.set_receive_timeout(Some(left))?;
                self.set = left;
            }
            match self.stream.recv(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.begin.elapsed() >= deadline {
                        return Err(error);
                    }
                    self.set = Duration::MAX; // so that the rest is set
                }
                result => return result,
            }
        }
    }

    fn recv(&mut self, way: Way, buffer: &mut [u8]) -> io::Result<usize> {
        match way {
            Way::None | Way::Once => self.stream.recv(buffer),
            Way::Lazily => self.recv_lazily(buffer, self.begin.elapsed() + IDLE),
            Way::EachTime => {
                self.stream.set_receive_timeout(Some(IDLE))?;
                self.stream.recv(buffer)
            }
            Way::Twice => {
                self.stream.set_receive_timeout(Some(IDLE))?;
                let count = self.stream.recv(buffer)?;
                self.stream.set_receive_timeout(Some(HEAD))?;
                Ok(count)
            }
            Way::PollFirst => {
                net::wait(&self.stream, Interest::READABLE, Some(IDLE))?;
                self.stream.recv(buffer)
            }
            Way::RecvFirst => match self.stream.recv_now(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    net::wait(&self.stream, Interest::READABLE, Some(IDLE))?;
                    self.stream.recv_now(buffer)
                }
                result => result,
            },
        }
    }
}

/// CPU time of this thread.
fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` lives until the call returns.
    let code = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(code, 0, "{}", io::Error::last_os_error());
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Answers until the client has finished; returns the CPU time of a request in nanoseconds.
fn serve(stream: Stream, way: Way) -> io::Result<f64> {
    let mut timed = Timed { stream, set: Duration::MAX, begin: Instant::now() };
    if way == Way::Once {
        timed.stream.set_receive_timeout(Some(IDLE))?;
    }
    let mut buffer = [0; REQUEST_BYTES];
    let (mut requests, start) = (0, cpu_time());
    loop {
        let mut have = 0;
        while have < REQUEST_BYTES {
            match timed.recv(way, &mut buffer[have..])? {
                0 => return Ok((cpu_time() - start).as_nanos() as f64 / f64::from(requests)),
                count => have += count,
            }
        }
        timed.stream.send(&buffer)?;
        requests += 1;
    }
}

/// Sends requests, `batch` at a time, and reads the answers.
fn ask(mut stream: TcpStream, batch: usize) -> io::Result<()> {
    let mut bytes = vec![b'x'; batch * REQUEST_BYTES];
    for _ in 0..REQUESTS / batch {
        stream.write_all(&bytes)?;
        stream.read_exact(&mut bytes)?;
    }
    Ok(())
}

fn round(listener: &TcpListener, way: Way, batch: usize) -> io::Result<f64> {
    let client = TcpStream::connect(listener.local_addr()?)?;
    client.set_nodelay(true)?;
    let (server, _) = listener.accept()?;
    server.set_nodelay(true)?;
    thread::scope(|scope| {
        let server = scope.spawn(move || serve(server.into(), way));
        ask(client, batch)?;
        server.join().expect("no panic")
    })
}

fn main() -> io::Result<()> {
    let rounds = env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(ROUNDS);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    for (batch, title) in [(1, "must be waited for"), (16, "waits already")] {
        let mut costs = vec![Vec::new(); WAYS.len()];
        for number in 0..rounds {
            for turn in 0..WAYS.len() {
                let index = (number + turn) % WAYS.len();
                costs[index].push(round(&listener, WAYS[index].0, batch)?);
            }
        }
        println!("a request that {title}: CPU ns, and more than without a deadline");
        let medians: Vec<f64> = costs.into_iter().map(median).collect();
        for ((_, name), cost) in WAYS.iter().zip(&medians) {
            println!("  {name:<16}{cost:>8.0}{:>+8.0}", cost - medians[0]);
        }
    }
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
