//! Rounds, quartiles, and the table.

use std::time::{Duration, Instant};

/// Ours may be slower by this before `--check` fails: the scatter of ours relative to itself.
const TOLERANCE: f64 = 0.05;

/// One contender of a row: a name, and what measures one round of it.
pub struct Contender<'a> {
    pub name: &'static str,
    pub round: Box<dyn FnMut() -> Duration + 'a>,
}

impl<'a> Contender<'a> {
    pub fn new(name: &'static str, round: impl FnMut() -> Duration + 'a) -> Self {
        Contender { name, round: Box::new(round) }
    }
}

/// The result of one row.
struct Row {
    what: &'static str,
    /// By contender, ours first: nanoseconds an item, the lower quartile of the rounds.
    typical_ns: Vec<(&'static str, f64)>,
    /// Ours relative to the better rival.
    ratio: f64,
    /// Ours relative to ours.
    control: f64,
}

pub struct Table {
    /// Only rows with one of these words in their names; all if there are none.
    words: Vec<String>,
    rows: Vec<Row>,
}

impl Table {
    pub fn new(words: Vec<String>) -> Self {
        Table { words, rows: Vec::new() }
    }

    /// `contenders` begin with ours, twice, then the rivals. A round of each has this many items.
    pub fn measure(
        &mut self,
        what: &'static str,
        rounds: usize,
        items: u64,
        mut contenders: Vec<Contender<'_>>,
    ) {
        if !self.words.is_empty() && !self.words.iter().any(|word| what.contains(word)) {
            return;
        }
        let mut times_ns = vec![Vec::new(); contenders.len()];
        for round in 0..=rounds {
            for turn in 0..contenders.len() {
                // So that no contender always follows the same one.
                let index = (turn + round) % contenders.len();
                let time = (contenders[index].round)();
                // The first round warms up.
                if round > 0 {
                    times_ns[index].push(time.as_nanos() as f64 / items as f64);
                }
            }
        }
        let typical_ns: Vec<f64> = times_ns.into_iter().map(lower_quartile).collect();
        let ratio_to = |theirs: &f64| typical_ns[0] / theirs;
        let ratio = typical_ns[2..].iter().map(ratio_to).fold(0.0, f64::max);
        let control = ratio_to(&typical_ns[1]);
        let names = contenders.iter().map(|contender| contender.name);
        let typical_ns = names.zip(typical_ns).collect();
        self.rows.push(Row { what, typical_ns, ratio, control });
    }

    pub fn print(&self) {
        println!("| ns per item | ours | theirs | ours / theirs | ours / ours |");
        println!("|---|---:|---:|---:|---:|");
        for row in &self.rows {
            let (name, ours_ns) = row.typical_ns[0];
            let theirs = row.typical_ns[2..].iter();
            let theirs: Vec<_> = theirs.map(|(name, ns)| format!("{name} {ns:.1}")).collect();
            let (what, theirs) = (row.what, theirs.join(", "));
            let (ratio, control) = (row.ratio, row.control);
            println!("| {what} | {name} {ours_ns:.1} | {theirs} | {ratio:.2} | {control:.2} |");
        }
    }

    /// The rows in which ours is slower than theirs.
    pub fn slower(&self) -> Vec<&'static str> {
        let slower = self.rows.iter().filter(|row| row.ratio > 1.0 + TOLERANCE);
        slower.map(|row| row.what).collect()
    }
}

/// Not the median: while other programs want the same cores, they may dominate more than half of
/// the rounds.
fn lower_quartile(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 4]
}

/// How long `f` takes.
pub fn time(f: impl FnOnce()) -> Duration {
    let start = Instant::now();
    f();
    start.elapsed()
}
