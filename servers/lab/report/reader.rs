//! Reads a data file back: the other half of `data.rs`.

use super::data::{Data, Entry};
use super::json::Json;
use crate::lab::findings::{Axis, Plot, Said, Series, Table, Value, Verdict};
use crate::lab::machine::Machine;

type Result<T> = std::result::Result<T, String>;

/// Reads the file's text.
///
/// # Errors
/// The first line that is not as it should be, and why.
pub fn read(text: &str) -> Result<Data> {
    let mut data = None;
    for (index, line) in text.lines().enumerate() {
        let in_line = |problem| format!("line {}: {problem}", index + 1);
        let line = Json::parse(line).map_err(in_line)?;
        match &mut data {
            None => data = Some(run(&line).map_err(in_line)?),
            Some(data) => add(data, &line).map_err(in_line)?,
        }
    }
    data.ok_or_else(|| "it is empty".to_owned())
}

fn run(line: &Json) -> Result<Data> {
    let is_known = text(line, "record")? == "run" && number(line, "format")? == 1.0;
    if !is_known {
        return Err("not the first line of a run, or that of a newer program".to_owned());
    }
    let machine = machine(member(line, "machine")?)?;
    Ok(Data { machine, partial: boolean(line, "partial")?, summary: None, entries: Vec::new() })
}

fn add(data: &mut Data, line: &Json) -> Result<()> {
    match text(line, "record")?.as_str() {
        "summary" => data.summary = Some(table(member(line, "table")?)?),
        "experiment" => data.entries.push(experiment(line)?),
        "measurement" => {
            let id = text(line, "experiment")?;
            let entry = data.entries.iter_mut().rfind(|entry| entry.id == id);
            entry.ok_or("no such experiment before this")?.raw.push(measurement(line)?);
        }
        other => return Err(format!("unknown record {other:?}")),
    }
    Ok(())
}

fn measurement(line: &Json) -> Result<Vec<(String, Value)>> {
    let Json::Object(members) = line else { return Err("expected an object".to_owned()) };
    let value = |(name, value): &(String, Json)| match value {
        Json::Text(text) => Ok((name.clone(), Value::Text(text.clone()))),
        Json::Number(number) => Ok((name.clone(), Value::Number(*number))),
        Json::Null => Ok((name.clone(), Value::Number(f64::NAN))),
        _ => Err(format!("{name}: expected a text or a number")),
    };
    // The first two are the record's kind and the experiment.
    members.iter().skip(2).map(value).collect()
}

fn experiment(line: &Json) -> Result<Entry> {
    let said = |said: &Json| {
        Ok(Said { what: text(said, "what")?, says: text(said, "says")?, here: text(said, "here")? })
    };
    Ok(Entry {
        id: text(line, "experiment")?,
        claim: text(line, "claim")?,
        source: text(line, "source")?,
        method: text(line, "method")?,
        seconds: number(line, "seconds")?,
        verdict: verdict(line)?,
        because: text(line, "because")?,
        said: each(line, "said", said)?,
        tables: each(line, "tables", table)?,
        plots: each(line, "plots", plot)?,
        raw: Vec::new(),
    })
}

/// The verdict whose kind is written there.
fn verdict(line: &Json) -> Result<Verdict> {
    let kind = text(line, "verdict")?;
    let detail = text(line, "detail").unwrap_or_default();
    let all = [
        Verdict::Holds,
        Verdict::HoldsWithin(detail.clone()),
        Verdict::DoesNotHold,
        Verdict::NotTestable(detail),
    ];
    let found = all.into_iter().find(|verdict| verdict.kind() == kind);
    found.ok_or_else(|| format!("unknown verdict {kind:?}"))
}

fn machine(json: &Json) -> Result<Machine> {
    let whole = |name| number(json, name).map(|number| number as u64);
    Ok(Machine {
        cores: whole("cores")? as usize,
        processor: text(json, "processor")?,
        kernel: text(json, "kernel")?,
        memory_bytes: whole("memory_bytes")?,
        descriptors: whole("descriptors").ok(),
        date: text(json, "date")?,
        // Once in a process's life: the type has room for this program's own version only.
        version: text(json, "version")?.leak(),
    })
}

fn table(json: &Json) -> Result<Table> {
    Ok(Table {
        title: text(json, "title")?,
        columns: each(json, "columns", as_text)?,
        rows: each(json, "rows", |row| items(row)?.iter().map(as_text).collect())?,
    })
}

fn plot(json: &Json) -> Result<Plot> {
    let axis = |name| {
        let axis = member(json, name)?;
        Ok::<_, String>(Axis {
            label: text(axis, "label")?,
            logarithmic: boolean(axis, "logarithmic")?,
        })
    };
    let series = match member(json, "groups")? {
        Json::Null => Series::Lines(each(json, "series", |line| {
            Ok((text(line, "name")?, each(line, "points", point)?))
        })?),
        groups => Series::Bars(
            items(groups)?.iter().map(as_text).collect::<Result<_>>()?,
            each(json, "series", |bar| {
                let value = |value: &Json| match value {
                    Json::Null => Ok(None),
                    value => as_number(value).map(Some),
                };
                Ok((text(bar, "name")?, each(bar, "values", value)?))
            })?,
        ),
    };
    Ok(Plot { title: text(json, "title")?, x: axis("x")?, y: axis("y")?, series })
}

fn point(json: &Json) -> Result<(f64, f64)> {
    let coordinate = |json: &Json| match json {
        Json::Null => Ok(f64::NAN),
        json => as_number(json),
    };
    match items(json)? {
        [x, y] => Ok((coordinate(x)?, coordinate(y)?)),
        _ => Err("expected a point of two numbers".to_owned()),
    }
}

fn member<'a>(json: &'a Json, name: &str) -> Result<&'a Json> {
    json.get(name).ok_or_else(|| format!("{name} is missing"))
}

fn named<T>(json: &Json, name: &str, read: impl Fn(&Json) -> Result<T>) -> Result<T> {
    read(member(json, name)?).map_err(|problem| format!("{name}: {problem}"))
}

fn text(json: &Json, name: &str) -> Result<String> {
    named(json, name, as_text)
}

fn number(json: &Json, name: &str) -> Result<f64> {
    named(json, name, as_number)
}

fn boolean(json: &Json, name: &str) -> Result<bool> {
    named(json, name, |json| match json {
        Json::Bool(value) => Ok(*value),
        _ => Err("expected true or false".to_owned()),
    })
}

/// What `read` makes of each item of a member that is an array.
fn each<T>(json: &Json, name: &str, read: impl Fn(&Json) -> Result<T>) -> Result<Vec<T>> {
    named(json, name, |json| items(json)?.iter().map(&read).collect())
}

fn items(json: &Json) -> Result<&[Json]> {
    match json {
        Json::Array(items) => Ok(items),
        _ => Err("expected an array".to_owned()),
    }
}

fn as_text(json: &Json) -> Result<String> {
    match json {
        Json::Text(text) => Ok(text.clone()),
        _ => Err("expected a text".to_owned()),
    }
}

fn as_number(json: &Json) -> Result<f64> {
    match json {
        Json::Number(number) => Ok(*number),
        _ => Err("expected a number".to_owned()),
    }
}
