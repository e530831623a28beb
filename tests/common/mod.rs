//! What the integration tests share: a server started for one test, a client that speaks raw bytes,
//! and ways to look at the server from outside.
//!
//! ```text
//! test ── Client (bytes, FIN, RST) ──► sped ◄── Server (arguments, signals, exit status)
//!                                       ▲
//!                                       └───── observe (descriptors, memory, CPU time, system calls)
//! ```
//!
//! Nothing here sleeps for a guessed time. Where the kernel gives no readiness signal, [`until`]
//! polls a condition, and fails loudly after [`PATIENCE`].

// Every test file is a crate of its own and uses a part of this one.
#![allow(dead_code)]

pub mod client;
pub mod inside;
pub mod observe;
pub mod os;
pub mod processes;
pub mod server;
pub mod site;
pub mod stubborn;
pub mod successor;
pub mod verify;

use std::time::{Duration, Instant};

pub use client::{Client, Response};
pub use server::Server;

/// How long anything may take before a test gives up: far more than on a loaded machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How often [`until`] polls.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Waits until `holds`; fails after [`PATIENCE`], naming the condition.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "waited in vain for: {what}");
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// Waits until `measure` gives the same result for this long, and returns it.
#[track_caller]
pub fn steady<T: PartialEq>(what: &str, still: Duration, mut measure: impl FnMut() -> T) -> T {
    let end = Instant::now() + PATIENCE;
    let (mut last, mut since) = (measure(), Instant::now());
    while since.elapsed() < still {
        assert!(Instant::now() < end, "this never came to rest: {what}");
        std::thread::sleep(LOOK_AGAIN);
        let now = measure();
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    last
}

/// A request without a body.
pub fn request(method: &str, target: &str, fields: &[&str]) -> Vec<u8> {
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n");
    for field in fields {
        text.push_str(field);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// A GET.
pub fn get(target: &str) -> Vec<u8> {
    request("GET", target, &[])
}

/// A POST with a `Content-Length` and its body.
pub fn post(target: &str, fields: &[&str], body: &[u8]) -> Vec<u8> {
    let length = format!("Content-Length: {}", body.len());
    let fields = [fields, &[length.as_str()]].concat();
    [request("POST", target, &fields), body.to_vec()].concat()
}

/// A POST whose body comes in the given chunks.
pub fn post_chunked(target: &str, fields: &[&str], chunks: &[&[u8]]) -> Vec<u8> {
    let fields = [fields, &["Transfer-Encoding: chunked"]].concat();
    let mut bytes = request("POST", target, &fields);
    for chunk in chunks {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

/// Bytes without a pattern that could hide a wrong offset; the same for the same seed.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&random.next().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// xorshift64* (Vigna 2016): repeatable, and random enough to cut bytes with.
pub struct Random(u64);

impl Random {
    /// A generator; any seed will do.
    pub fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(2).wrapping_add(1))
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}
