//! An experiment's result for a terminal.

use std::fmt::Write as _;

use crate::lab::experiment::Done;
use crate::lab::findings::Table;

/// Columns that the text takes at most.
const COLUMNS: usize = 96;
/// Between a table's columns.
const GAP: usize = 2;

/// The claim, the verdict, the sentence on why, and the tables. A table that is too wide is
/// continued below, with its rows' names again.
pub fn terminal(done: &Done) -> String {
    let findings = &done.findings;
    let mut text = String::new();
    wrapped(&mut text, &format!("{}: {}", done.experiment.id, done.experiment.claim), 0);
    wrapped(&mut text, &format!("{} ({:.1} s)", findings.verdict, done.seconds), 2);
    if !findings.because.is_empty() {
        wrapped(&mut text, &findings.because, 2);
    }
    for table in &findings.tables {
        text.push('\n');
        wrapped(&mut text, &table.title, 2);
        columns(&mut text, table);
    }
    text
}

/// Lines of whole words. A control character would be an order to the terminal.
fn wrapped(text: &mut String, what: &str, indent: usize) {
    let room = COLUMNS - indent;
    let mut line = String::new();
    for word in plain(what).split_whitespace() {
        let length = line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && length > room {
            let _ = writeln!(text, "{:indent$}{line}", "");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        let _ = writeln!(text, "{:indent$}{line}", "");
    }
}

fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn columns(text: &mut String, table: &Table) {
    let rows: Vec<&[String]> =
        std::iter::once(&table.columns).chain(&table.rows).map(Vec::as_slice).collect();
    let count = rows.iter().map(|row| row.len()).max().unwrap_or_default();
    let width = |column: usize| {
        let longest = rows.iter().map(|row| cell(row, column).chars().count()).max();
        // Two of the widest, the name and a figure, fit beside each other.
        longest.unwrap_or_default().min((COLUMNS - 2 * GAP) / 2)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let Some((name_width, mut left)) = widths.split_first() else { return };
    let mut first = 1;
    loop {
        let mut taken = GAP + name_width;
        let fits = |width: &&usize| {
            taken += GAP + **width;
            taken <= COLUMNS
        };
        let here = left.iter().take_while(fits).count();
        for row in &rows {
            let name = cut(cell(row, 0), *name_width);
            let mut line = format!("{:GAP$}{name:name_width$}", "");
            for (column, width) in (first..).zip(&left[..here]) {
                let _ = write!(line, "{:GAP$}{:>width$}", "", cut(cell(row, column), *width));
            }
            let _ = writeln!(text, "{}", line.trim_end());
        }
        (left, first) = (&left[here..], first + here);
        if left.is_empty() {
            return;
        }
        text.push('\n');
    }
}

fn cell(row: &[String], column: usize) -> String {
    plain(row.get(column).map_or("", String::as_str))
}

/// At most `width` characters of a text.
fn cut(text: String, width: usize) -> String {
    match text.chars().count() > width {
        true => text.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
        false => text,
    }
}
