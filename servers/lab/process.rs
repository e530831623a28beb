//! A process and its descendants, seen from outside (`proc(5)`): CPU time and memory.

use std::fs;
use std::time::Duration;

/// User and system time that a process has used, with all of its threads; `None` if it is gone.
pub fn cpu_time(pid: u32) -> Option<Duration> {
    let fields = stat(pid)?;
    let ticks = |index: usize| fields.get(index)?.parse::<u64>().ok();
    // utime and stime, in ticks of 10 ms wherever Linux runs (sysconf(3), _SC_CLK_TCK).
    Some(Duration::from_millis((ticks(11)? + ticks(12)?) * 10))
}

/// The fields of `/proc/PID/stat` from the third on: the second may hold spaces.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = text.rsplit_once(") ")?.1;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}
