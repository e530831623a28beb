//! Measures several programs against each other, on a machine that others use as well.
//!
//! In each round every program runs once, for some microseconds; of each program the fastest round
//! counts. Anything else the machine does (interrupts, neighbours, a change of frequency) only ever
//! adds time, and what lasts longer than a round hits all programs.

use std::time::Instant;

/// The shortest round: the clock's own 25 ns are then half a percent.
const ROUND_NS_MIN: f64 = 5_000.0;
const ROUNDS: u32 = 20_000;

/// What is measured.
pub trait Work {
    /// Prepares this many repetitions, before the clock starts.
    fn prepare(&mut self, _times: usize) {}

    /// Runs this many repetitions.
    fn run(&mut self, times: usize);
}

/// One program, and its best time.
pub struct Contender<'a> {
    work: Box<dyn Work + 'a>,
    times: usize,
    best_ns: f64,
}

impl<'a> Contender<'a> {
    pub fn new(work: impl Work + 'a) -> Self {
        Contender { work: Box::new(work), times: 1, best_ns: f64::INFINITY }
    }

    fn round(&mut self) {
        self.work.prepare(self.times);
        let begin = Instant::now();
        self.work.run(self.times);
        let each_ns = begin.elapsed().as_nanos() as f64 / self.times as f64;
        self.best_ns = self.best_ns.min(each_ns);
    }

    /// Warms up, and finds how many repetitions fill a round.
    fn calibrate(&mut self) {
        for _ in 0..100 {
            self.round();
        }
        self.times = (ROUND_NS_MIN / self.best_ns).ceil().max(1.0) as usize;
        self.best_ns = f64::INFINITY;
    }
}

/// The best time of each, in nanoseconds.
pub fn compare(mut contenders: Vec<Contender<'_>>) -> Vec<f64> {
    for contender in &mut contenders {
        contender.calibrate();
    }
    for _ in 0..ROUNDS {
        for contender in &mut contenders {
            contender.round();
        }
    }
    contenders.iter().map(|contender| contender.best_ns).collect()
}

/// Keeps this thread on one processor: the last one, which has the fewest interrupts.
#[cfg(target_os = "linux")]
pub fn pin() {
    let last = std::thread::available_parallelism().map_or(0, |count| count.get() - 1);
    // SAFETY: cpu_set_t is a set of bits, for which all zeros is the empty set; CPU_SET checks the
    // index against its size; the call reads the set only.
    let pinned = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(last, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &set)
    };
    if pinned != 0 {
        eprintln!("not pinned to processor {last}: {}", std::io::Error::last_os_error());
    }
}

#[cfg(not(target_os = "linux"))]
pub fn pin() {}
