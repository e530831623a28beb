use proptest::prelude::*;

use super::example;
use super::*;
use crate::lab::experiment::Experiment;
use crate::lab::findings::{Axis, Findings, Plot, Said, Series, Value, Verdict};

#[test]
fn a_page_made_again_is_the_same_page() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("made/if/need/be");
    let (machine, summary) = (example::machine(), example::summary());
    let path = write(&folder, &machine, Some(&summary), &example::done(), true).unwrap();
    let first = fs::read_to_string(&path).unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(again(&folder).unwrap(), path);
    assert_eq!(fs::read_to_string(&path).unwrap(), first);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "nothing else is left there");
}

#[test]
fn what_is_no_run_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let refusal = || again(folder.path()).unwrap_err();
    assert_eq!(refusal().kind(), io::ErrorKind::NotFound);
    write(folder.path(), &example::machine(), None, &example::done(), false).unwrap();
    let path = folder.path().join(DATA);
    let right = fs::read_to_string(&path).unwrap();
    for (wrong, says) in [
        (String::new(), "it is empty"),
        (right.replacen("\"format\":1", "\"format\":2", 1), "line 1:"),
        (right.replacen("\"claim\"", "\"clam\"", 1), "line 2: claim is missing"),
        (right.replacen("holds within limits", "is nice", 1), "line 2: unknown verdict"),
        (right[..right.len() - 3].to_owned(), "expected"),
        (right.lines().nth(1).unwrap().to_owned(), "line 1:"),
    ] {
        fs::write(&path, wrong).unwrap();
        assert!(refusal().to_string().contains(says), "{says}: {}", refusal());
    }
}

#[test]
fn a_page_shows_what_was_found_and_fetches_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let summary = example::summary();
    let write = |partial| {
        let page =
            write(folder.path(), &example::machine(), Some(&summary), &example::done(), partial);
        fs::read_to_string(page.unwrap()).unwrap()
    };
    let page = write(false);
    for shown in [
        "<strong>1</strong> does not hold here",
        "holds up to 400 connections",
        "cannot be tested here: this kernel has no invented_call(2)",
        "href=\"#e-thread-ceiling\"",
        "id=\"e-thread-ceiling\"",
        "took 0 min 52 s",
        "All 18 measurements",
        "slow clients",
    ] {
        assert!(page.contains(shown), "{shown}");
    }
    assert!(!page.contains("A part of a run."));
    assert!(write(true).contains("A part of a run."));
    let of = |attribute: &str| page.matches(attribute).count();
    assert_eq!(of("src=") + of("http://www.w3.org/2000/svg"), 1, "the icon's name space alone");
    assert_eq!(of("<script") + of("style=\"") + of("url(http") + of("@import"), 0);
}

#[test]
fn texts_cannot_become_markup() {
    static EVIL: Experiment = Experiment {
        id: "<i>\"'",
        claim: "<i>\"'&",
        source: "<i>\"'&",
        method: "<i>\"'&",
        run: |_| unreachable!(),
    };
    let evil = || "<i>\"'&".to_owned();
    let mut table = Table::new(&evil(), &[&evil()]);
    table.row([evil(), evil()]);
    let findings = Findings {
        said: vec![Said { what: evil(), says: evil(), here: evil() }],
        raw: vec![vec![("a", Value::Text(evil()))]],
        ..Findings::new(Verdict::NotTestable(evil()), evil())
    };
    let mut machine = example::machine();
    (machine.processor, machine.kernel, machine.date) = (evil(), evil(), evil());
    let done = [Done { experiment: &EVIL, findings: findings.table(table.clone()), seconds: 1.0 }];
    let folder = tempfile::tempdir().unwrap();
    let page = write(folder.path(), &machine, Some(&table), &done, false).unwrap();
    let page = fs::read_to_string(page).unwrap();
    assert!(!page.contains("<i>") && page.contains("&lt;i&gt;&quot;&#39;&amp;"));
    assert!(page.contains("id=\"e-_i___\""));
}

#[test]
fn on_a_terminal_no_line_is_too_wide_and_nothing_is_lost() {
    let columns: Vec<String> = (0..30).map(|i| format!("column {i}")).collect();
    let names: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut table = Table::new("Wide", &names);
    table.row((0..30).map(|i| format!("cell {i}")));
    table.row(["x\x1b[2Jy".to_owned(), "z".repeat(300)]);
    let mut done = example::done().swap_remove(0);
    done.findings = done.findings.table(table);
    let text = terminal(&done);
    assert!(text.lines().all(|line| line.chars().count() <= 96), "{text}");
    assert!((0..30).all(|i| text.contains(&format!("cell {i}"))), "{text}");
    assert!(!text.contains('\x1b'));
    assert!(text.contains("  holds up to 400 connections (31.2 s)\n"), "{text}");
    assert!(text.contains("\n  sped       5074  29801  55246  39130\n"), "{text}");
}

fn any_number() -> impl Strategy<Value = f64> {
    any::<f64>().prop_filter("JSON has no others", |number| number.is_finite())
}

fn any_verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        Just(Verdict::Holds),
        any::<String>().prop_map(Verdict::HoldsWithin),
        Just(Verdict::DoesNotHold),
        any::<String>().prop_map(Verdict::NotTestable),
    ]
}

fn few<S: Strategy>(strategy: S) -> impl Strategy<Value = Vec<S::Value>> {
    prop::collection::vec(strategy, 0..4)
}

fn any_table() -> impl Strategy<Value = Table> {
    (any::<String>(), few(any::<String>()), few(few(any::<String>())))
        .prop_map(|(title, columns, rows)| Table { title, columns, rows })
}

fn any_plot() -> impl Strategy<Value = Plot> {
    let axis = || {
        (any::<String>(), any::<bool>())
            .prop_map(|(label, logarithmic)| Axis { label, logarithmic })
    };
    let lines = few((any::<String>(), few((any_number(), any_number()))));
    let bars = few((any::<String>(), few(prop::option::of(any_number()))));
    let series = prop_oneof![
        lines.prop_map(Series::Lines),
        (few(any::<String>()), bars).prop_map(|(groups, bars)| Series::Bars(groups, bars)),
    ];
    (any::<String>(), axis(), axis(), series).prop_map(|(title, x, y, series)| Plot {
        title,
        x,
        y,
        series,
    })
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let value =
        prop_oneof![any::<String>().prop_map(Value::Text), any_number().prop_map(Value::Number)];
    let said = any::<[String; 3]>().prop_map(|[what, says, here]| Said { what, says, here });
    let found = (any_verdict(), few(said), few(any_table()), few(any_plot()));
    (any::<[String; 5]>(), any_number(), found, few(few((any::<String>(), value)))).prop_map(
        |([id, claim, source, method, because], seconds, found, raw)| {
            let (verdict, said, tables, plots) = found;
            Entry { id, claim, source, method, seconds, verdict, because, said, tables, plots, raw }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn data_that_is_written_is_read_back(
        partial: bool,
        summary in prop::option::of(any_table()),
        entries in few(any_entry()),
        [processor, kernel, date] in any::<[String; 3]>(),
        memory_bytes in 0..1u64 << 50,
        descriptors in prop::option::of(0..1u64 << 50),
    ) {
        let machine = Machine {
            processor, kernel, date, memory_bytes, descriptors, ..example::machine()
        };
        let data = Data { machine, partial, summary, entries };
        let text = data::write(&data);
        let read = reader::read(&text).unwrap();
        prop_assert_eq!(format!("{read:?}"), format!("{data:?}"));
        // Whatever it is, there is a page for it.
        prop_assert!(html::page(&read).ends_with("</html>\n"));
    }
}
