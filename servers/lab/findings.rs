//! What an experiment has found: tables, plots, raw rows and a verdict.
//!
//! An experiment fills these in from its measurements; the report and the terminal only show them.

use std::fmt;

/// What became of a claim here. Always computed from the figures of this run.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// The figures say the same.
    Holds,
    /// They do, up to a point, which this names: `up to 400 connections`.
    HoldsWithin(String),
    /// They say otherwise.
    DoesNotHold,
    /// This machine cannot tell, for this reason.
    NotTestable(String),
}

impl Verdict {
    /// `Holds` or `DoesNotHold`.
    pub fn from_bool(holds: bool) -> Verdict {
        if holds { Verdict::Holds } else { Verdict::DoesNotHold }
    }

    /// Its kind, for the raw data and for comparing two runs.
    pub fn kind(&self) -> &'static str {
        match self {
            Verdict::Holds => "holds",
            Verdict::HoldsWithin(_) => "holds within limits",
            Verdict::DoesNotHold => "does not hold here",
            Verdict::NotTestable(_) => "cannot be tested here",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Holds | Verdict::DoesNotHold => f.write_str(self.kind()),
            Verdict::HoldsWithin(limits) => write!(f, "holds {limits}"),
            Verdict::NotTestable(reason) => write!(f, "cannot be tested here: {reason}"),
        }
    }
}

/// The result of an experiment.
#[derive(Clone, Debug)]
pub struct Findings {
    /// What became of the claim.
    pub verdict: Verdict,
    /// The figures that decided it, in a sentence or two.
    pub because: String,
    /// Figures that a text gives, beside ours: `("a fork", "hundreds of microseconds", "180 us")`.
    pub said: Vec<Said>,
    /// For people.
    pub tables: Vec<Table>,
    /// For people.
    pub plots: Vec<Plot>,
    /// Every measurement, for programs.
    pub raw: Vec<Row>,
}

/// A figure of the literature and ours.
#[derive(Clone, Debug)]
pub struct Said {
    /// Of what.
    pub what: String,
    /// The text's.
    pub says: String,
    /// This run's.
    pub here: String,
}

/// A table. The first column names the row; the others are figures, aligned to the right.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// The columns' heads.
    pub columns: Vec<String>,
    /// Rows of as many cells.
    pub rows: Vec<Vec<String>>,
}

/// A picture.
#[derive(Clone, Debug)]
pub struct Plot {
    /// What it shows.
    pub title: String,
    /// Below it; in bars, the label is not shown.
    pub x: Axis,
    /// Beside it.
    pub y: Axis,
    /// The data.
    pub series: Series,
}

/// An axis.
#[derive(Clone, Debug, Default)]
pub struct Axis {
    /// With its unit.
    pub label: String,
    /// Whether equal distances are equal ratios.
    pub logarithmic: bool,
}

/// A plot's data.
#[derive(Clone, Debug)]
pub enum Series {
    /// Names and their points, connected in order.
    Lines(Vec<(String, Vec<(f64, f64)>)>),
    /// Groups (models, mostly), and for each named bar one value a group; `None`: no bar.
    Bars(Vec<String>, Vec<(String, Vec<Option<f64>>)>),
}

/// A measurement: names and values, a line of JSON.
pub type Row = Vec<(&'static str, Value)>;

/// A value of a measurement.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A name.
    Text(String),
    /// A figure.
    Number(f64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Value::Number(number)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Value {
        Value::Number(number as f64)
    }
}

impl Findings {
    /// Without tables and plots.
    pub fn new(verdict: Verdict, because: impl Into<String>) -> Findings {
        Findings {
            verdict,
            because: because.into(),
            said: Vec::new(),
            tables: Vec::new(),
            plots: Vec::new(),
            raw: Vec::new(),
        }
    }

    /// With a table.
    #[must_use]
    pub fn table(mut self, table: Table) -> Findings {
        self.tables.push(table);
        self
    }

    /// With a plot.
    #[must_use]
    pub fn plot(mut self, plot: Plot) -> Findings {
        self.plots.push(plot);
        self
    }

    /// With a text's figure beside ours.
    #[must_use]
    pub fn said(mut self, what: &str, says: &str, here: impl Into<String>) -> Findings {
        let said = Said { what: what.to_owned(), says: says.to_owned(), here: here.into() };
        self.said.push(said);
        self
    }
}

impl Table {
    /// An empty one.
    pub fn new(title: &str, columns: &[&str]) -> Table {
        let columns = columns.iter().map(|&name| name.to_owned()).collect();
        Table { title: title.to_owned(), columns, rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl Axis {
    /// A linear one.
    pub fn linear(label: &str) -> Axis {
        Axis { label: label.to_owned(), logarithmic: false }
    }

    /// A logarithmic one.
    pub fn logarithmic(label: &str) -> Axis {
        Axis { label: label.to_owned(), logarithmic: true }
    }
}

impl Plot {
    /// Points connected by lines.
    pub fn lines(title: &str, x: Axis, y: Axis, lines: Vec<(String, Vec<(f64, f64)>)>) -> Plot {
        Plot { title: title.to_owned(), x, y, series: Series::Lines(lines) }
    }

    /// For each of `groups` a bar of every name.
    pub fn bars<S: AsRef<str>>(
        title: &str,
        y: Axis,
        groups: &[S],
        bars: Vec<(&str, Vec<f64>)>,
    ) -> Plot {
        let groups = groups.iter().map(|name| name.as_ref().to_owned()).collect();
        let some = |values: Vec<f64>| values.into_iter().map(Some).collect();
        let bars = bars.into_iter().map(|(name, values)| (name.to_owned(), some(values))).collect();
        Plot { title: title.to_owned(), x: Axis::default(), y, series: Series::Bars(groups, bars) }
    }
}
