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

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use http::Limits;
use http::client::ResponseHead;
use reactor::{EventLoop, Handler, Interest, Readiness, Token, Trigger};

use super::client::{Client, End, Pending, Shared};
use super::connect::connect;
use super::pace::Schedule;
use super::plan::Plan;
use super::progress::Progress;
use super::record::Record;
use super::routes::Mix;
use super::slow::{self, Slow, SlowClient};

/// Bytes of one receive.
const BUFFER_BYTES: usize = 64 * 1024;
/// Before a server that has refused is tried again, in milliseconds.
const RETRY_MS: u64 = 10;
/// Between two reports of what has been done.
const PUBLISH: Duration = Duration::from_millis(100);
/// Connections begun at a time: a server's accept queue has room for some hundred.
const OPENED_AT_ONCE: u32 = 64;

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

    // Connections

    /// Begins the next few connections.
    fn open_some(&mut self, ev: &mut EventLoop) {
        for _ in 0..OPENED_AT_ONCE {
            let Some(role) = self.unopened.pop() else { return };
            self.open(ev, role, VecDeque::new());
        }
    }

    /// Begins a connection, on which `pending` is to be sent again.
    fn open(&mut self, ev: &mut EventLoop, role: Role, pending: VecDeque<Pending>) {
        // One source for each connection, and one is released before the next is reserved.
        let Ok(token) = ev.reserve() else { return };
        let slot = token.slot() as usize;
        if self.members.len() <= slot {
            self.members.resize_with(slot + 1, || Member::None);
        }
        let stream = connect(self.plan.address).and_then(|stream| {
            ev.watch(token, &stream, Interest::BOTH, Trigger::Edge)?;
            Ok(stream)
        });
        self.members[slot] = match (stream, role) {
            (Ok(stream), Role::Asks) => {
                let left = match self.plan.requests_per_connection {
                    0 => u32::MAX,
                    count => count,
                };
                Member::Asks(Client::new(stream, pending, left))
            }
            (Ok(stream), Role::Slow(slow)) => Member::Slow(SlowClient::new(stream, slow)),
            (Err(_), _) => {
                self.cx.record.counts.refused += 1;
                ev.set_deadline(token, ev.now_ms() + RETRY_MS);
                Member::Waiting(role, pending)
            }
        };
        if !matches!(self.members[slot], Member::Waiting(..)) {
            ev.set_deadline(token, ev.now_ms() + self.timeout_ms());
        }
    }

    /// A connection cannot be had, or is over before it has brought anything: another is tried, a
    /// little later.
    fn wait_to_open(&mut self, ev: &mut EventLoop, role: Role, pending: VecDeque<Pending>) {
        let Ok(token) = ev.reserve() else { return };
        ev.set_deadline(token, ev.now_ms() + RETRY_MS);
        let slot = token.slot() as usize;
        if self.members.len() <= slot {
            self.members.resize_with(slot + 1, || Member::None);
        }
        self.members[slot] = Member::Waiting(role, pending);
    }

    fn timeout_ms(&self) -> u64 {
        self.plan.timeout.as_millis() as u64
    }

    fn take(&mut self, ev: &mut EventLoop, token: Token) -> Member {
        ev.release(token);
        std::mem::replace(&mut self.members[token.slot() as usize], Member::None)
    }

    /// A connection that asks is over; another takes its place, and its pending requests.
    #[cold]
    fn over(&mut self, ev: &mut EventLoop, token: Token, end: End) {
        let Member::Asks(mut client) = self.take(ev, token) else { return };
        let counts = &mut self.cx.record.counts;
        let began = !client.may_repeat();
        match end {
            End::Refused => counts.refused += 1,
            End::TimedOut => counts.timed_out += 1,
            End::Invalid => counts.invalid += 1,
            End::Closed | End::Broken if began => counts.truncated += 1,
            End::Closed | End::Broken => {}
        }
        // The one that failed is not sent again; those behind it are.
        if matches!(end, End::TimedOut | End::Invalid) || (began && end != End::Refused) {
            client.pending.pop_front();
        }
        counts.repeated += if end == End::Refused { 0 } else { client.pending.len() as u64 };
        let pending = std::mem::take(&mut client.pending);
        match client.has_answered() {
            true => self.open(ev, Role::Asks, pending),
            false => self.wait_to_open(ev, Role::Asks, pending),
        }
    }

    // Requests

    /// The connection has come about: sends again what another has left, then what is due.
    fn opened(&mut self, ev: &mut EventLoop, token: Token) {
        let Member::Asks(client) = &mut self.members[token.slot() as usize] else { return };
        client.is_open = true;
        self.cx.record.counts.connections += 1;
        ev.clear_deadline(token);
        let again = std::mem::take(&mut client.pending);
        let places = u32::from(self.plan.pipeline).saturating_sub(again.len() as u32);
        self.scratch.clear();
        for pending in &again {
            let route = &self.cx.routes[usize::from(pending.route)];
            client.asked(route, *pending);
            self.scratch.extend_from_slice(&route.request);
        }
        if !again.is_empty() {
            ev.set_deadline(token, ev.now_ms() + self.plan.timeout.as_millis() as u64);
            if client.send(&self.scratch).is_err() {
                return self.over(ev, token, End::Broken);
            }
        }
        let now_ns = self.now_ns();
        self.has_places(ev, token, places, now_ns);
    }

    /// A connection can take this many requests more.
    #[inline]
    fn has_places(&mut self, ev: &mut EventLoop, token: Token, places: u32, now_ns: u64) {
        if self.schedule.is_open() {
            let Member::Asks(client) = &self.members[token.slot() as usize] else { return };
            if client.pending.is_empty() {
                ev.clear_deadline(token);
            }
            self.idle.extend(std::iter::repeat_n(token, places as usize));
        } else {
            self.ask(ev, token, places, |_| Some(now_ns));
        }
    }

    /// Sends up to `count` requests, whose times are `since`'s.
    #[inline]
    fn ask(
        &mut self,
        ev: &mut EventLoop,
        token: Token,
        count: u32,
        mut since: impl FnMut(&mut Schedule) -> Option<u64>,
    ) {
        let Member::Asks(client) = &mut self.members[token.slot() as usize] else { return };
        self.scratch.clear();
        for _ in 0..count.min(client.left) {
            let Some(since_ns) = since(&mut self.schedule) else { break };
            let number = self.mix.next();
            let route = &self.cx.routes[number];
            client.asked(route, Pending { since_ns, route: number as u16 });
            self.scratch.extend_from_slice(&route.request);
        }
        if self.scratch.is_empty() {
            return;
        }
        ev.set_deadline(token, ev.now_ms() + self.plan.timeout.as_millis() as u64);
        if client.send(&self.scratch).is_err() {
            self.over(ev, token, End::Broken);
        }
    }

    /// In an open loop: sends what is due, as far as connections can take it.
    fn send_due(&mut self, ev: &mut EventLoop) {
        let now_ns = self.now_ns();
        while self.schedule.next_ns().is_some_and(|due| due <= now_ns) {
            let Some(token) = self.idle.pop_front() else { return };
            if ev.contains(token) {
                self.ask(ev, token, 1, |schedule| schedule.take_due(now_ns));
            }
        }
    }

    // Responses

    #[inline]
    fn asks_ready(&mut self, ev: &mut EventLoop, token: Token, readiness: Readiness) {
        let Member::Asks(client) = &mut self.members[token.slot() as usize] else { return };
        if !client.is_open {
            if !matches!(client.stream.take_error(), Ok(None)) {
                return self.over(ev, token, End::Refused);
            }
            if readiness.is_writable() {
                self.opened(ev, token);
            }
            return;
        }
        if readiness.is_writable() && client.flush().is_err() {
            return self.over(ev, token, End::Broken);
        }
        if readiness != Readiness::WRITABLE {
            self.receive(ev, token, readiness);
        }
    }

    #[inline]
    fn receive(&mut self, ev: &mut EventLoop, token: Token, readiness: Readiness) {
        let Driver { members, cx, buffer, begin, .. } = self;
        let Member::Asks(client) = &mut members[token.slot() as usize] else { return };
        let (mut answered, mut now_ns, mut end) = (0, 0, None);
        while end.is_none() {
            let received = client.stream.recv(buffer);
            now_ns = begin.elapsed().as_nanos() as u64;
            match received {
                Ok(0) => {
                    answered += client.finished(cx, now_ns);
                    end = Some(End::Closed);
                }
                Ok(count) => match client.received(cx, &buffer[..count], now_ns) {
                    Ok(more) => answered += more,
                    Err(reason) => end = Some(reason),
                },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => end = Some(End::Broken),
            }
            // Less than there was room for: that was all, but for the end that was announced.
            let was_all = received.is_ok_and(|count| count < buffer.len());
            if was_all && !readiness.is_read_closed() {
                break;
            }
        }
        match end {
            Some(end) => self.over(ev, token, end),
            None if answered > 0 => self.answered(ev, token, answered, now_ns),
            None => {}
        }
    }

    /// The connection has brought this many responses.
    #[inline]
    fn answered(&mut self, ev: &mut EventLoop, token: Token, count: u32, now_ns: u64) {
        let Member::Asks(client) = &self.members[token.slot() as usize] else { return };
        let is_used_up = client.left == 0 && client.pending.is_empty();
        if is_used_up || !client.persists() {
            return self.over(ev, token, End::Closed);
        }
        self.has_places(ev, token, count, now_ns);
    }

    // Slow clients

    fn slow_ready(&mut self, ev: &mut EventLoop, token: Token, readiness: Readiness) {
        let Member::Slow(client) = &mut self.members[token.slot() as usize] else { return };
        if !client.is_open && readiness.is_writable() {
            client.is_open = true;
            self.cx.record.counts.connections += 1;
            let sent = client.begin(&self.plan.routes[0].request);
            ev.set_deadline(token, ev.now_ms() + slow::PAUSE_MS);
            if sent.is_err() {
                return self.slow_over(ev, token);
            }
        }
        let ends = readiness.is_error() || readiness.is_hangup() || readiness.is_read_closed();
        // A slow reader leaves what has arrived, and takes it in its own time.
        if ends && client.slow != Slow::Read {
            self.slow_over(ev, token);
        }
    }

    fn slow_over(&mut self, ev: &mut EventLoop, token: Token) {
        if let Member::Slow(client) = self.take(ev, token) {
            self.cx.record.counts.slow_ended += 1;
            self.wait_to_open(ev, Role::Slow(client.slow), VecDeque::new());
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
