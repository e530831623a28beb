//! A process and its descendants, seen from outside (`proc(5)`): CPU time, memory, threads.
//!
//! What a process used that has ended and been waited for counts for its parent (`cutime`): so the
//! sum over those that live, with their ended children, is what the whole server used.

use std::fs;
use std::time::Duration;

/// CPU time, in the kernel and outside.
#[derive(Copy, Clone, Default, Debug, PartialEq)]
pub struct Cpu {
    /// Outside of the kernel.
    pub user: Duration,
    /// In system calls.
    pub system: Duration,
}

impl Cpu {
    /// Both.
    pub fn total(self) -> Duration {
        self.user + self.system
    }

    /// What was used since an earlier moment.
    #[must_use]
    pub fn since(self, earlier: Cpu) -> Cpu {
        Cpu {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
        }
    }
}

/// A process and all of its descendants, itself first.
pub fn tree(pid: u32) -> Vec<u32> {
    let mut found = vec![pid];
    let mut next = 0;
    while let Some(parent) = found.get(next) {
        let threads = fs::read_dir(format!("/proc/{parent}/task"));
        for thread in threads.into_iter().flatten().flatten() {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            found.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
        }
        next += 1;
    }
    found
}

/// What a process and its descendants have used; `None` if it is gone.
pub fn cpu(pid: u32) -> Option<Cpu> {
    stat(pid)?;
    let mut sum = Cpu::default();
    for fields in tree(pid).into_iter().filter_map(stat) {
        // utime, stime, and the same of children that have been waited for.
        let time = |index| Duration::from_millis(ticks(&fields, index) * 10);
        sum.user += time(11) + time(13);
        sum.system += time(12) + time(14);
    }
    Some(sum)
}

/// What all children of this process have used, with theirs, that have ended.
pub fn cpu_of_ended_children() -> Cpu {
    let fields = stat(std::process::id()).unwrap_or_default();
    let time = |index| Duration::from_millis(ticks(&fields, index) * 10);
    Cpu { user: time(13), system: time(14) }
}

/// Bytes of memory of a process and its descendants, shared pages divided among those that share
/// them (PSS), without the program's own text and other files.
pub fn memory_bytes(pid: u32) -> u64 {
    let of = |pid: u32| {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let kib = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default()
        };
        (kib("Pss_Anon:") + kib("Pss_Shmem:")) * 1024
    };
    tree(pid).into_iter().map(of).sum()
}

/// How many processes and threads a server has.
pub fn threads(pid: u32) -> usize {
    let of = |pid: u32| fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    tree(pid).into_iter().map(of).sum()
}

/// A number of ticks: 10 ms, wherever Linux runs (`sysconf(3)`, `_SC_CLK_TCK`).
fn ticks(fields: &[String], index: usize) -> u64 {
    fields.get(index).and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// The fields of `/proc/PID/stat` from the third on: the second may hold spaces.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = text.rsplit_once(") ")?.1;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}
