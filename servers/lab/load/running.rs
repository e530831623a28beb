//! A load under way: its threads, and what they have done so far.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::driver;
use super::plan::Plan;
use super::progress::Progress;
use super::record::Record;

/// A load under way. Dropping it ends it.
pub struct Running {
    progress: Arc<Progress>,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

/// What a load has done, and in which time.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Counts and latencies.
    pub record: Record,
    /// The time that was measured.
    pub time: Duration,
    /// The CPU time of the threads that asked, once they are done.
    pub cpu: Duration,
}

impl Outcome {
    /// Right answers a second.
    pub fn rate(&self) -> f64 {
        self.record.counts.answered as f64 / self.time.as_secs_f64().max(1e-9)
    }
}

impl Running {
    /// Starts a load.
    ///
    /// # Errors
    /// A thread is refused.
    pub fn start(plan: &Plan) -> io::Result<Running> {
        let mut running = Running { progress: Arc::default(), threads: Vec::new() };
        for index in 0..plan.threads {
            let (share, progress) = (plan.share(index), Arc::clone(&running.progress));
            let name = format!("load {index}");
            let run = move || driver::run(&share, index, &progress);
            running.threads.push(thread::Builder::new().name(name).spawn(run)?);
        }
        Ok(running)
    }

    /// What has been done up to about now.
    pub fn outcome(&self) -> Outcome {
        let sum = self.progress.sum();
        let time = sum.measuring_since.map_or(Duration::ZERO, |since| {
            sum.ended.unwrap_or_else(Instant::now).duration_since(since)
        });
        Outcome { record: sum.record.clone(), time, cpu: sum.cpu }
    }

    /// Whether the warm-up is over.
    pub fn is_measuring(&self) -> bool {
        self.progress.sum().measuring_since.is_some()
    }

    /// Whether the plan's time has passed.
    pub fn is_over(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// Asks the threads to end before the plan's time.
    pub fn stop(&self) {
        self.progress.stop();
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// A thread's poller failed, or has panicked.
    pub fn finish(mut self) -> io::Result<Outcome> {
        for thread in std::mem::take(&mut self.threads) {
            thread.join().map_err(|_| io::Error::other("a thread has panicked"))??;
        }
        Ok(self.outcome())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
        for thread in std::mem::take(&mut self.threads) {
            let _ = thread.join();
        }
    }
}
