//! A conversation whose client, socket, workers and clock do whatever the input says, in an order in
//! which a driver may call it. What must hold is asked after every step, by the harness and by the
//! session itself.
//!
//! The first four bytes choose limits, timeouts and where work is done. Then each byte is an event; the
//! next one says how much of it:
//!
//! | byte mod 16 | event |
//! |---|---|
//! | 0 to 7 | the client sends the next that many bytes |
//! | 8 | the client takes 8 times as many bytes |
//! | 9 | the client finishes sending |
//! | 10 | 16 times as many milliseconds pass |
//! | 11 | time passes until the deadline, if there is one |
//! | 12 | the job is done, or comes to nothing (odd) |
//! | 13 | there is room for a job, or will be none (odd) |
//! | 14 | the job is given up, or the server drains (odd) |
//! | 15 | a buffer is missing for what is left of the input, or the connection is gone (odd) |
#![no_main]

// By the name that the servers use, whose test harness this is.
extern crate stampede_http as http;

#[path = "../../servers/session/tests/app.rs"]
mod app;
#[path = "../../servers/session/tests/driver.rs"]
mod driver;
#[path = "../../servers/session/tests/pair.rs"]
mod pair;

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use pair::{At, Pair, Works};
/// What the unit tests call the same.
use stampede as server;
use stampede::options::{LogFormat, LogTarget, Options};

/// Milliseconds beyond which a deadline is none.
const FAR_MS: u64 = 1 << 40;

fuzz_target!(|input: &[u8]| {
    let Some((settings, mut events)) = input.split_first_chunk::<4>() else {
        return;
    };
    let mut pair = begin(settings);
    while let Some((&[event, amount], rest)) = events.split_first_chunk::<2>() {
        events = rest;
        if event % 16 < 8 {
            let (bytes, rest) = events.split_at(events.len().min(amount.into()));
            events = rest;
            pair.send(bytes);
        } else {
            happen(&mut pair, event % 16, amount);
        }
        if pair.is_closed() {
            break;
        }
    }
    let received = pair.received.len();
    pair.end();
    pair.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(pair.received.len(), received, "answered after the end");
});

/// A connection under the limits that the input chooses: narrow ones, so that they are met.
fn begin(settings: &[u8; 4]) -> Pair {
    let [mode, limits, times, memory] = settings;
    let mut options = Options::default();
    options.limits.head = 256 + 2 * usize::from(*limits);
    options.limits.target = 64;
    options.limits.fields = 1 + usize::from(limits % 8);
    options.limits.body = 4096;
    options.limits.requests = u32::from(limits / 8 % 8);
    options.limits.body_memory = 8 * usize::from(*memory);
    options.timeouts.head = Duration::from_millis(100 * u64::from(times % 4));
    options.timeouts.body = Duration::from_millis(150 * u64::from(times / 4 % 4));
    options.timeouts.write = Duration::from_millis(350 * u64::from(times / 16 % 2));
    options.timeouts.request = (times / 32 % 4 != 0).then(|| Duration::from_millis(400));
    if mode & 4 != 0 {
        options.log.format = LogFormat::Json;
        options.log.target = LogTarget::File("/dev/null".into());
    }
    let works = match mode % 4 {
        0 => Works::Inline,
        1 => Works::Elsewhere,
        _ => Works::Later,
    };
    let mut pair = Pair::new(&options, works, 1_000);
    pair.cx.offload_all = mode & 8 != 0;
    if mode & 16 != 0 {
        pair.room = usize::from(mode / 32) * 40;
    }
    pair
}

fn happen(pair: &mut Pair, event: u8, amount: u8) {
    let odd = amount % 2 == 1;
    match event {
        8 => pair.take(8 * usize::from(amount)),
        9 => pair.eof(),
        10 => pair.pass(16 * u64::from(amount)),
        11 => {
            let left = pair.deadline_ms().saturating_sub(pair.now_ms);
            if left < FAR_MS {
                pair.pass(left);
            }
        }
        12 => pair.job_done(!odd),
        13 if odd => pair.overloaded(),
        13 => pair.has_room(),
        14 if odd => pair.cx.draining = true,
        14 => pair.give_up(),
        _ if odd => pair.end(),
        _ => {
            let session = &pair.session;
            if pair.at == At::Sends && session.has_pending() && session.saved_call().is_none() {
                pair.abandon_input();
            }
        }
    }
}
