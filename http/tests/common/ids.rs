//! The rows of the conformance table, by group: a test can show that none is missing.

use std::collections::BTreeSet;

/// Each group's letters, and how many rows it has, numbered from 01.
const GROUPS: [(&str, usize); 14] = [
    ("RL", 26), // request line
    ("TF", 11), // target forms
    ("VE", 11), // version
    ("HO", 12), // Host
    ("HF", 22), // fields
    ("CL", 21), // Content-Length
    ("TE", 18), // Transfer-Encoding
    ("CH", 34), // chunked
    ("EX", 4),  // Expect
    ("CO", 13), // connection
    ("ME", 9),  // methods
    ("RA", 18), // ranges
    ("CN", 19), // conditions
    ("LC", 11), // what no single stimulus shows
];

/// Fails with the rows that are missing, and with unknown ones. A name in words is a row of the
/// test's own.
pub fn assert_complete<'a>(covered: impl IntoIterator<Item = &'a str>) {
    let all: BTreeSet<String> = GROUPS
        .iter()
        .flat_map(|(group, rows)| (1..=*rows).map(move |row| format!("{group}-{row:02}")))
        .collect();
    let is_id = |name: &&str| name.as_bytes().get(2) == Some(&b'-');
    // "CH-26, with zeros" is a variant of CH-26.
    let covered = covered.into_iter().filter(is_id);
    let covered: BTreeSet<String> =
        covered.map(|name| name.split(',').next().unwrap_or(name).to_owned()).collect();
    let missing: Vec<_> = all.difference(&covered).collect();
    let unknown: Vec<_> = covered.difference(&all).collect();
    assert!(missing.is_empty() && unknown.is_empty(), "missing {missing:?}, unknown {unknown:?}");
}
