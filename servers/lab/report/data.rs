//! The data file: all that a report shows and every measurement, one JSON object a line.
//!
//! ```text
//! {"record":"run","format":1,"partial":false,"machine":{…}}
//! {"record":"summary","table":{…}}                                    if there is one
//! {"record":"experiment","experiment":"loop-10k","claim":…,"verdict":…,"tables":[…],"plots":[…]}
//! {"record":"measurement","experiment":"loop-10k","held":1000,"rate":…}    each, after its own
//! ```
//!
//! For a program that wants the measurements alone, that is
//! `jq 'select(.record == "measurement")'`. The report can be made again from this file alone, so
//! an old run can be looked at with a newer program. A figure that is not finite is `null`.

use super::json::Json;
use crate::lab::findings::{Axis, Plot, Said, Series, Table, Value, Verdict};
use crate::lab::machine::Machine;

/// Changes when an older program could not read what this one writes.
const FORMAT: f64 = 1.0;

/// All that a report shows.
#[derive(Clone, Debug)]
pub struct Data {
    pub machine: Machine,
    /// Whether the run ended before its last experiment.
    pub partial: bool,
    pub summary: Option<Table>,
    pub entries: Vec<Entry>,
}

/// An experiment and what it found, as they were when it ran.
#[derive(Clone, Debug)]
pub struct Entry {
    pub id: String,
    pub claim: String,
    pub source: String,
    pub method: String,
    pub seconds: f64,
    pub verdict: Verdict,
    pub because: String,
    pub said: Vec<Said>,
    pub tables: Vec<Table>,
    pub plots: Vec<Plot>,
    pub raw: Vec<Vec<(String, Value)>>,
}

/// The file's text.
pub fn write(data: &Data) -> String {
    let mut lines = vec![Json::object([
        ("record", "run".into()),
        ("format", FORMAT.into()),
        ("partial", Json::Bool(data.partial)),
        ("machine", machine(&data.machine)),
    ])];
    let line = |shown| Json::object([("record", "summary".into()), ("table", table(shown))]);
    lines.extend(data.summary.as_ref().map(line));
    for entry in &data.entries {
        lines.push(experiment(entry));
        lines.extend(entry.raw.iter().map(|row| measurement(&entry.id, row)));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// A measurement's line. Its own names come after the two that every line of its kind has.
fn measurement(id: &str, row: &[(String, Value)]) -> Json {
    let mut members: Vec<(String, Json)> =
        vec![("record".to_owned(), "measurement".into()), ("experiment".to_owned(), id.into())];
    members.extend(row.iter().map(|(name, value)| {
        let value = match value {
            Value::Text(text) => text.as_str().into(),
            Value::Number(number) => (*number).into(),
        };
        (name.clone(), value)
    }));
    Json::Object(members)
}

fn machine(machine: &Machine) -> Json {
    Json::object([
        ("cores", (machine.cores as f64).into()),
        ("processor", machine.processor.as_str().into()),
        ("kernel", machine.kernel.as_str().into()),
        ("memory_bytes", (machine.memory_bytes as f64).into()),
        ("descriptors", machine.descriptors.map_or(Json::Null, |limit| (limit as f64).into())),
        ("date", machine.date.as_str().into()),
        ("version", machine.version.into()),
    ])
}

fn experiment(entry: &Entry) -> Json {
    let detail = match &entry.verdict {
        Verdict::HoldsWithin(detail) | Verdict::NotTestable(detail) => detail.as_str().into(),
        Verdict::Holds | Verdict::DoesNotHold => Json::Null,
    };
    let said = |said: &Said| {
        Json::object([
            ("what", said.what.as_str().into()),
            ("says", said.says.as_str().into()),
            ("here", said.here.as_str().into()),
        ])
    };
    Json::object([
        ("record", "experiment".into()),
        ("experiment", entry.id.as_str().into()),
        ("claim", entry.claim.as_str().into()),
        ("source", entry.source.as_str().into()),
        ("method", entry.method.as_str().into()),
        ("seconds", entry.seconds.into()),
        ("verdict", entry.verdict.kind().into()),
        ("detail", detail),
        ("because", entry.because.as_str().into()),
        ("said", Json::array(&entry.said, said)),
        ("tables", Json::array(&entry.tables, table)),
        ("plots", Json::array(&entry.plots, plot)),
    ])
}

fn texts(texts: &[String]) -> Json {
    Json::array(texts, |text| text.as_str().into())
}

fn table(table: &Table) -> Json {
    Json::object([
        ("title", table.title.as_str().into()),
        ("columns", texts(&table.columns)),
        ("rows", Json::array(&table.rows, |row| texts(row))),
    ])
}

fn plot(plot: &Plot) -> Json {
    let axis = |axis: &Axis| {
        Json::object([
            ("label", axis.label.as_str().into()),
            ("logarithmic", Json::Bool(axis.logarithmic)),
        ])
    };
    let point = |(x, y): &(f64, f64)| Json::Array(vec![(*x).into(), (*y).into()]);
    let series = match &plot.series {
        Series::Lines(lines) => Json::array(lines, |(name, points)| {
            Json::object([("name", name.as_str().into()), ("points", Json::array(points, point))])
        }),
        Series::Bars(_, bars) => Json::array(bars, |(name, values)| {
            let value = |value: &Option<f64>| value.map_or(Json::Null, Json::from);
            Json::object([("name", name.as_str().into()), ("values", Json::array(values, value))])
        }),
    };
    let groups = match &plot.series {
        Series::Lines(_) => Json::Null,
        Series::Bars(groups, _) => texts(groups),
    };
    Json::object([
        ("title", plot.title.as_str().into()),
        ("x", axis(&plot.x)),
        ("y", axis(&plot.y)),
        ("groups", groups),
        ("series", series),
    ])
}
