//! The report of a run: a page for people, and beside it the data that it is made from.
//!
//! ```text
//! lab-report/index.html   one file that needs no other: style and pictures are in it
//! lab-report/data.jsonl   everything that the page shows, and every measurement
//! ```
//!
//! The page is made from the data file's contents alone, so that a run's page can be made again
//! long after it: [`write()`] after a run, [`again`] later.

mod data;
#[cfg(test)]
mod example;
mod experiment;
mod html;
mod json;
mod reader;
mod table;
mod terminal;

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use self::data::{Data, Entry};
pub use self::terminal::terminal;
use super::experiment::Done;
use super::findings::Table;
use super::machine::Machine;

/// The page in its folder.
pub const PAGE: &str = "index.html";
/// And the data.
pub const DATA: &str = "data.jsonl";

/// Writes a run's page and data into a folder, which is made if need be; what an earlier run left
/// there is replaced. `partial`: the run ended before its last experiment. Returns the page's path.
///
/// # Errors
/// The file system's. Neither file is ever there in part.
pub fn write(
    folder: &Path,
    machine: &Machine,
    summary: Option<&Table>,
    done: &[Done],
    partial: bool,
) -> io::Result<PathBuf> {
    let data = Data {
        machine: machine.clone(),
        partial,
        summary: summary.cloned(),
        entries: done.iter().map(entry).collect(),
    };
    fs::create_dir_all(folder)?;
    replace(&folder.join(DATA), &data::write(&data))?;
    page(folder, &data)
}

/// Makes the page again from the data that an earlier run has left in a folder.
///
/// # Errors
/// There is no such file, or it is not a run's data; the file system's.
pub fn again(folder: &Path) -> io::Result<PathBuf> {
    page(folder, &read(folder)?)
}

/// The data of an earlier run.
///
/// # Errors
/// There is no such file, or it is not a run's data.
fn read(folder: &Path) -> io::Result<Data> {
    let path = folder.join(DATA);
    let named = |problem: &dyn std::fmt::Display| format!("{}: {problem}", path.display());
    let text =
        fs::read_to_string(&path).map_err(|error| io::Error::new(error.kind(), named(&error)))?;
    reader::read(&text)
        .map_err(|problem| io::Error::new(io::ErrorKind::InvalidData, named(&problem)))
}

fn page(folder: &Path, data: &Data) -> io::Result<PathBuf> {
    let path = folder.join(PAGE);
    replace(&path, &html::page(data))?;
    Ok(path)
}

/// Gives a file new contents, all at once: a reader, and a crash, sees the old ones or the new.
fn replace(path: &Path, contents: &str) -> io::Result<()> {
    let temporary = path.with_extension(format!("{}.new", std::process::id()));
    let written = fs::File::create(&temporary).and_then(|mut file| {
        file.write_all(contents.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    });
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn entry(done: &Done) -> Entry {
    let Done { experiment, findings, seconds } = done;
    let row = |row: &super::findings::Row| {
        row.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    };
    Entry {
        id: experiment.id.to_owned(),
        claim: experiment.claim.to_owned(),
        source: experiment.source.to_owned(),
        method: experiment.method.to_owned(),
        seconds: *seconds,
        verdict: findings.verdict.clone(),
        because: findings.because.clone(),
        said: findings.said.clone(),
        tables: findings.tables.clone(),
        plots: findings.plots.clone(),
        raw: findings.raw.iter().map(row).collect(),
    }
}

#[cfg(test)]
mod tests;
