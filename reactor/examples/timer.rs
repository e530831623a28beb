//! Deadlines without sockets: `cargo run --example timer 30 5 500` (milliseconds, the default).
//!
//! Every argument is a source with one deadline. One more source ticks every 100 ms while any is
//! left, by arming its deadline again.

use stampede_reactor::event_loop::{Config, EventLoop, Handler};
use stampede_reactor::{Readiness, Token};
use std::io;

const BEAT_MS: u64 = 100;

struct Timers {
    beat: Token,
    /// By slot.
    delays_ms: Vec<u64>,
    left: usize,
}

impl Handler for Timers {
    fn ready(&mut self, _: &mut EventLoop, _: Token, _: Readiness) {}

    fn timeout(&mut self, ev: &mut EventLoop, token: Token) {
        let now_ms = ev.now_ms();
        if token == self.beat {
            println!("{now_ms:6} ms  beat");
            // From now, not from the last deadline: a loop that was late does not tick twice.
            ev.set_deadline(token, now_ms + BEAT_MS);
            return;
        }
        println!("{now_ms:6} ms  {} ms have passed", self.delays_ms[token.slot() as usize]);
        ev.release(token);
        self.left -= 1;
        if self.left == 0 {
            ev.stop();
        }
    }
}

fn main() -> io::Result<()> {
    let mut delays_ms: Vec<u64> = std::env::args().skip(1).flat_map(|text| text.parse()).collect();
    if delays_ms.is_empty() {
        delays_ms = vec![30, 5, 500];
    }
    let sources_max = delays_ms.len() as u32 + 1;
    let mut ev = EventLoop::new(Config::with_sources(sources_max))?;
    for delay_ms in &delays_ms {
        let token = ev.reserve().expect("room for all");
        ev.set_deadline(token, ev.now_ms() + delay_ms);
    }
    let beat = ev.reserve().expect("room for one more");
    ev.set_deadline(beat, ev.now_ms() + BEAT_MS);
    let left = delays_ms.len();
    ev.run(&mut Timers { beat, delays_ms, left })
}
