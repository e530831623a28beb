//! The machine that an experiment ran on, as far as it matters for the figures.

use std::fs;
use std::time::SystemTime;

/// Facts for the report.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Cores that this process may use.
    pub cores: usize,
    /// The processor's name.
    pub processor: String,
    /// The kernel's name and release.
    pub kernel: String,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Files that a process may have open.
    pub descriptors: Option<u64>,
    /// When the run began, for HTTP (RFC 9110, section 5.6.7).
    pub date: String,
    /// This program's version.
    pub version: &'static str,
}

impl Machine {
    /// This one, now.
    pub fn this() -> Machine {
        let line = |path: &str, name: &str| {
            let text = fs::read_to_string(path).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.split_once(':'));
            line.map(|(_, value)| value.trim().to_owned())
        };
        let unknown = || "unknown".to_owned();
        let release =
            fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_else(|_| unknown());
        let memory = line("/proc/meminfo", "MemTotal").unwrap_or_default();
        let kib = memory.trim_end_matches(" kB").parse::<u64>().unwrap_or_default();
        Machine {
            cores: reactor::process::cores().len(),
            processor: line("/proc/cpuinfo", "model name").unwrap_or_else(unknown),
            kernel: format!("{} {}", std::env::consts::OS, release.trim()),
            memory_bytes: kib * 1024,
            descriptors: reactor::process::DescriptorLimit::get().map_or(None, |limit| limit.soft),
            date: httpdate::fmt_http_date(SystemTime::now()),
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}
