//! `/status.json`: the model's description and every number, by name.

use std::fmt::{self, Write as _};

use super::numbers::Numbers;
use super::processes;
use super::stages;
use super::workers;
use crate::metrics::CounterSlot;
use crate::model::ModelInfo;

/// One JSON object. Numbers are written in full: above 2⁵³ a reader may lose the last digits.
pub(super) fn json(info: &ModelInfo, numbers: &Numbers) -> String {
    let mut text = String::with_capacity(2048);
    let _ = write!(text, "{{\"model\":{{\"name\":{}", quote(info.name));
    for (name, value) in [
        ("title", info.title),
        ("lesson", info.lesson),
        ("task1", info.task1),
        ("task2", info.task2),
        ("task3", info.task3),
        ("in_flight", info.in_flight),
    ] {
        let _ = write!(text, ",\"{name}\":{}", quote(value));
    }
    let _ = write!(
        text,
        "}},\"uptime_ms\":{},\"loops\":{},\"processes\":",
        numbers.uptime.as_millis(),
        numbers.loops
    );
    processes::json(&mut text, &numbers.processes);
    text.push_str(",\"counters\":{");
    for (i, (counter, value)) in CounterSlot::DESCRIPTIONS.iter().zip(numbers.values).enumerate() {
        let comma = if i == 0 { "" } else { "," };
        let _ = write!(text, "{comma}\"{}\":{value}", counter.name);
    }
    text.push_str("},");
    workers::json(&mut text, &numbers.workers);
    text.push(',');
    stages::json(&mut text, &numbers.stages);
    text.push_str("}\n");
    text
}

/// `text` as a JSON string (RFC 8259, section 7).
fn quote(text: &str) -> Quoted<'_> {
    Quoted(text)
}

struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                '\n' => f.write_str("\\n")?,
                c if c < ' ' => write!(f, "\\u{:04x}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{INFO, numbers};
    use super::*;

    #[test]
    fn strings_are_quoted() {
        assert_eq!(quote("a\"b\\c\nd\u{1}é").to_string(), r#""a\"b\\c\nd\u0001é""#);
    }

    #[test]
    fn every_counter_is_there_once() {
        let text = json(&INFO, &numbers());
        for (counter, value) in CounterSlot::DESCRIPTIONS.iter().zip(numbers().values) {
            assert_eq!(text.matches(&format!("\"{}\":{value}", counter.name)).count(), 1);
        }
        assert!(text.contains("\"uptime_ms\":12345,\"loops\":2,"));
        assert!(text.contains(r#""title":"Single \"Process\" & \\co""#));
    }

    #[test]
    fn braces_and_quotes_match() {
        let text = json(&INFO, &numbers());
        let (mut depth, mut quoted, mut chars) = (0, false, text.trim_end().chars());
        while let Some(c) = chars.next() {
            match c {
                '\\' if quoted => drop(chars.next()),
                '"' => quoted = !quoted,
                '{' if !quoted => depth += 1,
                '}' if !quoted => depth -= 1,
                c => assert!(c >= ' '),
            }
        }
        assert_eq!((depth, quoted), (0, false));
    }
}
