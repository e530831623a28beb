//! *sendfile*: files by the kernel, or through the server.

use std::path::PathBuf;
use std::{fs, io};

use crate::lab::bench::{Bench, Measured};
use crate::lab::experiment::Experiment;
use crate::lab::findings::{Axis, Findings, Plot, Table, Verdict};
use crate::lab::load::Plan;
use crate::lab::problem::Problem;
use crate::lab::stats::median_of;

pub static SENDFILE: Experiment = Experiment {
    id: "sendfile",
    claim: "sendfile beats read + write.",
    source: "sendfile(2); Nahum, Barzilai and Kandlur, Performance issues in WWW servers, 2002",
    method: "sped serves files of 4 KiB to 16 MiB from the page cache, once with sendfile(2) and \
             once with --no-sendfile. It beats the other if a file costs at least 5 % less CPU time; \
             limits are given where that is so for some sizes only. (sped answers files that fit its \
             cache of small ones from memory in both cases.)",
    run,
};

const KIB: u64 = 1024;
const SIZES: [u64; 5] = [4 * KIB, 64 * KIB, 256 * KIB, 1024 * KIB, 16 * 1024 * KIB];

/// A directory that is gone when the experiment is over.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Folder> {
        let path = std::env::temp_dir().join(format!("lab-{}", std::process::id()));
        fs::create_dir(&path)?;
        let folder = Folder(path);
        for size in SIZES {
            fs::write(folder.0.join(size.to_string()), vec![b'x'; size as usize])?;
        }
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn run(bench: &mut Bench<'_>) -> Result<Findings, Problem> {
    bench.need(&["sped"])?;
    let folder = Folder::new()?;
    let root = folder.0.to_str().ok_or_else(|| io::Error::other("the path is not UTF-8"))?;
    let servers = [
        bench.start("sped", &["--root", root])?,
        bench.start("sped", &["--root", root, "--no-sendfile"])?,
    ];
    let mut subjects = Vec::new();
    for size in SIZES {
        subjects.extend([(size, 0_usize), (size, 1)]);
    }
    let results = bench.interleaved(&subjects, |bench, (size, side)| {
        let server = &servers[*side];
        let plan = Plan { connections: 16, ..bench.plan(server, &format!("/{size}"), 1.0)? };
        let measured = bench.load(server, &plan)?;
        bench.keep(vec![
            ("bytes", (*size).into()),
            ("sendfile", (1.0 - *side as f64).into()),
            ("rate", measured.rate().into()),
            ("cpu_us", measured.cpu_us().into()),
        ]);
        Ok(measured)
    })?;
    let mut table = Table::new(
        "CPU time of a file, us",
        &["KiB", "sendfile", "read + send", "ratio", "MiB/s", "MiB/s"],
    );
    let (mut ratios, mut wins) = (Vec::new(), Vec::new());
    for (index, size) in SIZES.iter().enumerate() {
        let [with, without] = [&results[2 * index], &results[2 * index + 1]];
        let (a, b) = (median_of(with, Measured::cpu_us), median_of(without, Measured::cpu_us));
        let mib = |rounds: &[Measured]| {
            median_of(rounds, Measured::rate) * *size as f64 / (KIB * KIB) as f64
        };
        table.row([
            (size / KIB).to_string(),
            format!("{a:.1}"),
            format!("{b:.1}"),
            format!("{:.2}", a / b),
            format!("{:.0}", mib(with)),
            format!("{:.0}", mib(without)),
        ]);
        ratios.push(((size / KIB) as f64, a / b));
        if a < 0.95 * b {
            wins.push(size / KIB);
        }
    }
    let verdict = match wins.len() {
        0 => Verdict::DoesNotHold,
        count if count == SIZES.len() => Verdict::Holds,
        _ => Verdict::HoldsWithin(format!(
            "for files of {} KiB",
            wins.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
        )),
    };
    let last = ratios.last().map_or(f64::NAN, |(_, ratio)| *ratio);
    let because = format!(
        "With sendfile a file of 16 MiB cost {last:.2} of the CPU time, one of 4 KiB {:.2}.",
        ratios[0].1
    );
    Ok(Findings::new(verdict, because).table(table).plot(Plot::lines(
        "CPU time with sendfile, as a part of that without",
        Axis::logarithmic("KiB"),
        Axis::linear("ratio"),
        vec![("sped".to_owned(), ratios)],
    )))
}
