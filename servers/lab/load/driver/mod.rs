//! The loop of a thread: opens its connections, sends what is due, takes what comes.
//!
//! ```text
//!             ┌────────────── the server closes, refuses, times out ──────────────┐
//!             ▼                                                                   │
//!  Waiting ─► connecting ─► open ─► send ─► receive ─► right? count it ─► next ───┤
//!                                     ▲                                    │      │
//!                                     └────────────────────────────────────┘  `left` is 0
//! ```
//!
//! A request costs the client two system calls, and a share of the wait: every connection is
//! registered once, edge-triggered, for both directions.

mod asks;
mod connections;
mod stalls;

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use http::Limits;
use http::client::ResponseHead;
use reactor::{EventLoop, Handler, Readiness, Token};

use super::client::{Client, End, Pending, Shared};
use super::pace::Schedule;
use super::plan::Plan;
use super::progress::Progress;
use super::record::Record;
use super::routes::Mix;
use super::slow::{self, Slow, SlowClient};

/// Bytes of one receive.
const BUFFER_BYTES: usize = 64 * 1024;
/// Between two reports of what has been done.
const PUBLISH: Duration = Duration::from_millis(100);

/// What a source is.
enum Member {
    None,
    /// It is to connect when its deadline comes, and to repeat these.
    Waiting(Role, VecDeque<Pending>),
    Asks(Client),
    Slow(SlowClient),
}

#[derive(Copy, Clone)]
enum Role {
    Asks,
    Slow(Slow),
}

pub(super) struct Driver<'a> {
    plan: &'a Plan,
    cx: Shared<'a>,
    /// By the slot of their token.
    members: Vec<Member>,
    mix: Mix,
    schedule: Schedule,
    /// In an open loop: connections that can take a request, in turn; some of them are gone perhaps.
    idle: VecDeque<Token>,
    buffer: Box<[u8]>,
    scratch: Vec<u8>,
    begin: Instant,
    measuring: bool,
    /// This thread's CPU time when it began to measure.
    cpu_before: Duration,
    published: Instant,
    progress: &'a Progress,
    /// What is still to be opened.
    unopened: Vec<Role>,
}

/// Runs the share of one thread until the plan's end, or until it is stopped.
pub(super) fn run(plan: &Plan, index: u32, progress: &Progress) -> io::Result<()> {
    let config = reactor::event_loop::Config::with_sources(plan.all_connections() + 1);
    let mut ev = EventLoop::new(config)?;
    let mut driver = Driver::new(plan, index, progress);
    let end = driver.begin + plan.warm_up + plan.duration;
    loop {
        let now = Instant::now();
        if now >= end || progress.is_stopping() {
            break;
        }
        let longest = driver.wait(now, end);
        ev.turn(&mut driver, Some(longest))?;
    }
    driver.finish();
    Ok(())
}

/// This thread's; zero where the system does not tell.
fn cpu_time() -> Duration {
    reactor::process::thread_cpu_time().unwrap_or_default()
}

impl<'a> Driver<'a> {
    fn new(plan: &'a Plan, index: u32, progress: &'a Progress) -> Driver<'a> {
        let limits = Limits::default().with_body(u64::MAX);
        let mut unopened = vec![Role::Asks; plan.connections as usize];
        for (slow, count) in &plan.slow {
            unopened.extend(std::iter::repeat_n(Role::Slow(*slow), *count as usize));
        }
        let begin = Instant::now();
        Driver {
            plan,
            cx: Shared {
                routes: &plan.routes,
                head: ResponseHead::new(&limits),
                limits,
                record: Record::new(),
            },
            members: Vec::new(),
            mix: Mix::new(&plan.routes, index as usize),
            schedule: Schedule::new(plan.pace, index, plan.threads),
            idle: VecDeque::new(),
            buffer: vec![0; BUFFER_BYTES].into(),
            scratch: Vec::new(),
            begin,
            measuring: false,
            cpu_before: Duration::ZERO,
            published: begin,
            progress,
            unopened,
        }
    }

    #[inline]
    fn now_ns(&self) -> u64 {
        self.begin.elapsed().as_nanos() as u64
    }

    /// How long a turn may wait.
    fn wait(&self, now: Instant, end: Instant) -> Duration {
        if !self.unopened.is_empty() {
            return Duration::ZERO;
        }
        let longest = PUBLISH.min(end - now);
        let Some(next_ns) = self.schedule.next_ns().filter(|_| !self.idle.is_empty()) else {
            return longest;
        };
        let now_ns = (now - self.begin).as_nanos() as u64;
        longest.min(Duration::from_nanos(next_ns.saturating_sub(now_ns)))
    }

    fn publish(&mut self) {
        let now = Instant::now();
        let is_measured = now.duration_since(self.begin) >= self.plan.warm_up;
        if is_measured && !self.measuring {
            (self.measuring, self.published, self.cpu_before) = (true, now, cpu_time());
            self.cx.record = Record::new();
            self.progress.begin_measuring();
        } else if now.duration_since(self.published) >= PUBLISH && self.measuring {
            self.published = now;
            self.progress.add(&mut self.cx.record);
        }
    }

    /// The load is over. What has no answer yet has waited at least until now: it counts, or an
    /// open loop would forget those that a stall at the end has hit.
    fn finish(&mut self) {
        let now_ns = self.now_ns();
        let mut since: Vec<u64> = std::iter::from_fn(|| self.schedule.take_due(now_ns)).collect();
        for member in &self.members {
            if let Member::Asks(Client { pending, .. }) | Member::Waiting(_, pending) = member {
                since.extend(pending.iter().map(|pending| pending.since_ns));
            }
        }
        if self.measuring {
            for since_ns in since {
                let waited_ns = self.schedule.is_open().then(|| now_ns.saturating_sub(since_ns));
                self.cx.record.unfinished(waited_ns);
            }
            self.progress.add(&mut self.cx.record);
            self.progress.end(cpu_time().saturating_sub(self.cpu_before));
        }
    }
}

impl Handler for Driver<'_> {
    #[inline]
    fn ready(&mut self, ev: &mut EventLoop, token: Token, readiness: Readiness) {
        match &self.members[token.slot() as usize] {
            Member::Asks(_) => self.asks_ready(ev, token, readiness),
            Member::Slow(_) => self.slow_ready(ev, token, readiness),
            Member::None | Member::Waiting(..) => {}
        }
    }

    fn timeout(&mut self, ev: &mut EventLoop, token: Token) {
        match &self.members[token.slot() as usize] {
            Member::Asks(client) => {
                let end = if client.is_open { End::TimedOut } else { End::Refused };
                self.over(ev, token, end);
            }
            Member::Slow(client) if client.is_open => match client.go_on() {
                Ok(()) => ev.set_deadline(token, ev.now_ms() + slow::PAUSE_MS),
                Err(_) => self.slow_over(ev, token),
            },
            Member::Slow(_) => self.slow_over(ev, token),
            Member::Waiting(..) => {
                if let Member::Waiting(role, pending) = self.take(ev, token) {
                    self.open(ev, role, pending);
                }
            }
            Member::None => {}
        }
    }

    fn turn_ended(&mut self, ev: &mut EventLoop) {
        if !self.unopened.is_empty() {
            self.open_some(ev);
        }
        if self.schedule.is_open() {
            self.send_due(ev);
        }
        self.publish();
    }
}
