//! *congestion*: needs a network that loses segments.

use std::fs;
use std::path::Path;

use crate::lab::bench::Bench;
use crate::lab::experiment::Experiment;
use crate::lab::findings::Findings;
use crate::lab::problem::Problem;

pub static CONGESTION: Experiment = Experiment {
    id: "congestion",
    claim: "Another congestion control algorithm can help.",
    source: "Cardwell and others, BBR, ACM Queue 2016",
    method: "It would compare the algorithms that the kernel offers over a link with delay and loss \
             (netem, tc-netem(8)): over the loopback, which loses nothing and delays nothing, all of \
             them do the same.",
    run,
};

fn run(_: &mut Bench<'_>) -> Result<Findings, Problem> {
    let path = "/proc/sys/net/ipv4/tcp_available_congestion_control";
    let offered = fs::read_to_string(path).unwrap_or_default();
    let offered = offered.split_whitespace().collect::<Vec<_>>();
    let shaper = match Path::new("/sys/module/sch_netem").exists() {
        true => "the kernel has netem, but the lab changes no network of this machine",
        false => "the kernel has no netem loaded, which would delay and lose segments",
    };
    Err(Problem::NotTestable(format!(
        "{shaper}; the algorithms offered are {}",
        if offered.is_empty() { "unknown".to_owned() } else { offered.join(", ") }
    )))
}
