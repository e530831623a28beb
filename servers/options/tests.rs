//! Arguments, variables and the help, seen from outside.

use std::collections::HashMap;
use std::ffi::OsString;
use std::time::Duration;

use proptest::prelude::*;

use super::list::entries;
use super::table::{Model, Setter};
use super::*;
use crate::model::ModelInfo;

const INFO: ModelInfo = ModelInfo {
    name: "amped",
    title: "Single Process Event-Driven",
    lesson: "One thread serves everyone, and one slow request delays everyone.",
    task1: "",
    task2: "",
    task3: "",
    in_flight: "",
    picture: "",
    disk: crate::app::Disk::Wait,
};

const ALL: &[Takes] = &[
    ("sped", &[]),
    ("amped", &[OptionGroup::Threads]),
    ("symped", &[OptionGroup::Processes]),
    ("prefork", &[OptionGroup::Pool]),
];
static SYMPED: ModelInfo = ModelInfo { name: "symped", ..INFO };
static PREFORK: ModelInfo = ModelInfo { name: "prefork", ..INFO };
const AMPED: Model<'_> = Model { info: &INFO, all: ALL };

fn parse_with(args: &[&str], env: &[(&str, &str)]) -> Result<Parsed, OptionsError> {
    parse_as(&INFO, args, env)
}

fn parse_as(
    info: &'static ModelInfo,
    args: &[&str],
    env: &[(&str, &str)],
) -> Result<Parsed, OptionsError> {
    let env: HashMap<&str, &str> = env.iter().copied().collect();
    let args = args.iter().map(OsString::from);
    Options::from_env_and_args(info, ALL, args, |name| env.get(name).map(OsString::from))
}

fn run(args: &[&str]) -> Options {
    run_with(args, &[])
}

fn run_with(args: &[&str], env: &[(&str, &str)]) -> Options {
    run_as(&INFO, args, env)
}

fn run_as(info: &'static ModelInfo, args: &[&str], env: &[(&str, &str)]) -> Options {
    match parse_as(info, args, env) {
        Ok(Parsed::Run(options)) => *options,
        other => panic!("{args:?} {env:?}: {other:?}"),
    }
}

fn refused(args: &[&str]) -> String {
    parse_with(args, &[]).expect_err("should be refused").to_string()
}

fn help() -> String {
    match parse_with(&["--help"], &[]) {
        Ok(Parsed::Help(text)) => text,
        other => panic!("{other:?}"),
    }
}

/// A value other than the default for every entry that takes one.
fn sample(flag: &str) -> &'static str {
    match flag {
        "root" => "/",
        "index" => "home.html",
        "listen" => "[::1]:81",
        "congestion" => "reno",
        "access-log" => "json",
        "log-file" => "/var/log/x",
        "buffer-size" => "64K",
        "max-head" | "max-target" => "2K",
        "fastopen" => "9",
        "notsent-lowat" => "64K",
        "offload" => "all",
        "worker-priority" => "slice:500us",
        "overload" => "reject",
        "accept" if reactor::process::Channel::KEEPS_CLOSED => "pass",
        "accept" => "reuseport",
        "stack-size" => "128K",
        "trusted" => "10.0.0.0/8",
        "unix-mode" => "0660",
        "cache-control" => ".css,.js=public, max-age=60",
        "etag" => "mtime",
        _ if flag.ends_with("timeout") || flag == "cache-ttl" => "7s",
        "defer-accept" | "linger" => "7s",
        _ => "77",
    }
}

/// A log file alone would be refused.
const WITH_LOG: &str = "--access-log=common";

#[test]
fn nothing_given_is_the_default() {
    assert_eq!(run(&[]), Options::default());
    let default = Options::default();
    assert_eq!(default.listen, [ListenAddr::Tcp("127.0.0.1:8080".parse().unwrap())]);
    assert!(default.content.demo && default.content.status && default.content.root.is_none());
}

#[test]
fn every_flag_and_its_variable_change_the_same_field_and_no_other() {
    flags_and_variables(&INFO);
    flags_and_variables(&SYMPED);
    flags_and_variables(&PREFORK);
}

fn flags_and_variables(info: &'static ModelInfo) {
    let model = Model { info, all: ALL };
    for entry in entries(model) {
        let mut base = vec![];
        if entry.flag == "log-file" {
            base.push(WITH_LOG);
        }
        if entry.flag == "proxy-protocol" {
            base.push("--trusted=127.0.0.1");
        }
        if entry.flag == "user" {
            base.push("--group=78"); // a number without an account has no groups
        }
        let default = run_as(info, &base, &[]);
        let (flag, text) = match entry.setter {
            Setter::Switch(_) if entry.show(&default) == "on" => ("no-", "off"),
            Setter::Switch(_) => ("", "on"),
            _ => ("", sample(entry.flag)),
        };
        let flag = match entry.setter {
            Setter::Switch(_) => format!("--{flag}{}", entry.flag),
            _ => format!("--{}={text}", entry.flag),
        };
        let by_flag = run_as(info, &[&base[..], &[&flag]].concat(), &[]);
        let by_variable = run_as(info, &base, &[(&entry.variable(), text)]);
        assert_eq!(by_flag, by_variable, "{flag}");
        assert_eq!(entry.show(&by_flag), text, "{flag}");
        for other in entries(model).filter(|other| other.flag != entry.flag) {
            if (entry.flag, other.flag) != ("root", "demo") {
                assert_eq!(other.show(&by_flag), other.show(&default), "{flag}: {}", other.flag);
            }
        }
    }
}

#[test]
fn a_root_turns_the_demonstration_off_unless_it_is_asked_for() {
    assert!(!run(&["--root", "/"]).content.demo);
    assert!(run(&["--root", "/", "--demo"]).content.demo);
    assert!(!run(&["--no-demo"]).content.demo);
    assert!(!run_with(&["--root", "/"], &[("STAMPEDE_DEMO", "off")]).content.demo);
}

#[test]
fn arguments_win_over_variables_even_over_wrong_ones() {
    let env = [("STAMPEDE_HEAD_TIMEOUT", "never"), ("STAMPEDE_LISTEN", "81,unix:/x")];
    let options = run_with(&["--head-timeout", "3s", "--listen", "82"], &env);
    assert_eq!(options.timeouts.head, Duration::from_secs(3));
    assert_eq!(options.listen, [ListenAddr::Tcp("127.0.0.1:82".parse().unwrap())]);
}

#[test]
fn lists_are_repeated_as_arguments_and_separated_by_commas_in_variables() {
    let by_args = run(&["--listen", "81", "--listen=[::1]:81", "--index", "a", "--index", "b"]);
    let env = [("STAMPEDE_LISTEN", "81, [::1]:81"), ("STAMPEDE_INDEX", "a,b")];
    assert_eq!(by_args, run_with(&[], &env));
    assert_eq!(by_args.listen.len(), 2);
    assert_eq!(by_args.content.index, ["a", "b"]);
}

#[test]
fn a_switch_takes_every_spelling() {
    for args in [["--no-status"], ["--status=off"], ["--status=no"], ["--no-status=on"]] {
        assert!(!run(&args).content.status, "{args:?}");
    }
    assert!(run(&["--no-status", "--status"]).content.status, "the last one counts");
    assert!(!run_with(&[], &[("STAMPEDE_NO_STATUS", "1")]).content.status);
    assert!(run_with(&[], &[("STAMPEDE_NO_STATUS", "0")]).content.status);
    assert!(run_with(&[], &[("STAMPEDE_STATUS", "")]).content.status, "empty is as good as unset");
}

#[test]
fn zero_and_off_switch_a_timeout_off() {
    let options = run(&["--idle-timeout", "0", "--request-timeout", "0", "--write-timeout=off"]);
    assert_eq!(options.timeouts.idle, Duration::ZERO);
    assert_eq!(options.timeouts.write, Duration::ZERO);
    assert_eq!(options.timeouts.request, None);
    assert_eq!(run(&["--linger", "0"]).tcp.linger, Some(Duration::ZERO));
    assert_eq!(run(&["--linger", "off"]).tcp.linger, None);
}

#[test]
fn off_leaves_the_bound_on_unsent_bytes_to_the_system() {
    let bound = |args: &[&str]| run(args).tcp.notsent_lowat;
    assert_eq!(bound(&[]).is_some(), reactor::net::HAS_NOTSENT_LOWAT);
    assert_eq!(bound(&["--notsent-lowat", "1M"]), Some(1 << 20));
    assert_eq!(bound(&["--notsent-lowat", "off"]), None);
    assert_eq!(bound(&["--notsent-lowat", "0"]), None);
}

#[test]
fn errors_name_the_flag_the_value_the_cause_and_the_fix() {
    for (args, expected) in [
        (&["--head-timeout", "10x"][..], r#"--head-timeout 10x: unknown unit "x"; expected"#),
        (&["--head-timeout", "10"], "--head-timeout 10: missing unit; expected"),
        (&["--max-head", "1M"], "--max-head 1M: must be at most 65535"),
        (&["--max-head", "1"], "--max-head 1: must be at least 256"),
        (&["--max-body"], "--max-body: missing value; expected --max-body SIZE"),
        (&["--offload", "none"], "--offload none: invalid value; expected blocking or all"),
        (&["--access-log", "xml"], "expected off, common, combined or json"),
        (&["--root", "--demo"], "--root: missing value; expected --root DIR"),
        (&["--demo=maybe"], "--demo maybe: invalid value; expected on or off"),
        (&["--root", "/nonexistent"], "--root /nonexistent: No such file"),
        (&["--root", "/dev/null"], "--root /dev/null: not a directory; expected"),
        (&["--listen", "::1"], "--listen ::1: missing port; write [::1]:8080"),
        (&["--idle-timout", "1s"], "--idle-timout: no such option; did you mean --idle-timeout?"),
        (&["--no-sendfiles"], "did you mean --no-sendfile?"),
        (&["--port", "80"], "did you mean --listen PORT?"),
        (&["--xyzzy"], "no such option; see --help"),
        (&["-x"], "-x: no such option;"),
        (&["htdocs"], "htdocs: unexpected argument; to serve a directory, use --root htdocs"),
        (&["--index", "a/b"], "invalid value; expected a file name without a slash"),
        (&["--log-file", "/x"], "--log-file /x: the access log is off; add --access-log"),
        (&["--buffer-size", "16K"], "--buffer-size 16384: must be at least 17408, to hold a head"),
        (&["--proxy-protocol"], "--proxy-protocol: no trusted peers; add --trusted"),
        (&["--notsent-lowat", "1"], "--notsent-lowat 1: invalid value; expected 4K to 1G, or off"),
        (&["--trusted", "lb"], "--trusted lb: invalid value; expected an address"),
        (&["--unix-mode", "rw"], "--unix-mode rw: invalid value; expected permissions in octal"),
        (&["--trusted", "10.1.1.1/8"], "the address has host bits set; write them"),
        (&["--cache-control", ".css="], "invalid value; expected directives such as max-age=3600"),
        (&["--cache-control", "a\nb"], "invalid value; expected directives"),
        (&["--cache-control", ".a,b=x"], "invalid value; expected extensions with their dots"),
        (&["--etag", "weak"], "--etag weak: invalid value; expected strict, mtime or off"),
        (&["--no-root"], "--no-root: no such option;"),
    ] {
        let text = refused(args);
        assert!(text.contains(expected), "{args:?}: {text}");
    }
    let by_variable = parse_with(&[], &[("STAMPEDE_MAX_BODY", "1 M")]).unwrap_err().to_string();
    assert!(by_variable.starts_with("STAMPEDE_MAX_BODY \"1 M\": "), "{by_variable}");
}

#[test]
fn the_help_names_every_option_with_its_default_within_80_columns() {
    let help = help();
    println!("{help}");
    for entry in entries(AMPED) {
        let named = [format!("--{}", entry.flag), format!("--no-{}", entry.flag)];
        let named = named.iter().any(|flag| help.contains(&format!("  {flag} ")));
        assert!(named, "--{} is missing", entry.flag);
    }
    for line in help.lines() {
        assert!(line.chars().count() <= 80, "{line}");
        assert_eq!(line, line.trim_end());
    }
    assert!(help.contains("[10s]") && help.contains("[127.0.0.1:8080]"));
}

#[test]
fn an_option_of_another_model_is_refused_by_its_name() {
    let sped = ModelInfo { name: "sped", ..INFO };
    let refused = Options::from_env_and_args(&sped, ALL, ["--ring=8".into()], |_| None);
    let text = refused.expect_err("sped has no rings").to_string();
    assert_eq!(text, "--ring: sped has no such option; it belongs to amped");
    let parsed = Options::from_env_and_args(&sped, ALL, [], |name| {
        (name == "STAMPEDE_RING").then(|| "8".into())
    });
    assert!(matches!(parsed, Ok(Parsed::Run(_))), "the variable may be meant for another server");
    let Ok(Parsed::Help(help)) = Options::from_env_and_args(&sped, ALL, ["-h".into()], |_| None)
    else {
        panic!("no help")
    };
    assert!(!help.contains("--ring"));
}

#[test]
fn flags_and_variables_are_unique_and_negations_do_not_collide() {
    let mut names: Vec<String> = entries(AMPED).map(|entry| entry.variable()).collect();
    names.extend(entries(AMPED).filter_map(|entry| entry.variable_off()));
    names.push(super::passed::VARIABLE.to_owned());
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn the_version_names_the_model_and_the_project() {
    let Ok(Parsed::Version(text)) = parse_with(&["-V"], &[]) else { panic!("no version") };
    assert_eq!(text, format!("amped (stampede) {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn sockets_from_systemd_are_used_when_they_are_meant_for_us_and_without_listen() {
    let pid = std::process::id().to_string();
    let ours = [("LISTEN_FDS", "2"), ("LISTEN_PID", pid.as_str())];
    assert_eq!(run_with(&[], &ours).listen, [ListenAddr::Fd(3), ListenAddr::Fd(4)]);
    let elsewhere = run_with(&["--listen", "fd:4"], &ours);
    assert_eq!(
        (elsewhere.listen, elsewhere.unused),
        (vec![ListenAddr::Fd(4)], vec![ListenAddr::Fd(3)])
    );
    for other in [
        &[("LISTEN_FDS", "2")][..],
        &[("LISTEN_FDS", "2"), ("LISTEN_PID", "1")],
        &[("LISTEN_FDS", "-2"), ("LISTEN_PID", pid.as_str())],
        &[("LISTEN_FDS", "0"), ("LISTEN_PID", pid.as_str())],
        &[("LISTEN_FDS", "99999999999"), ("LISTEN_PID", pid.as_str())],
    ] {
        assert_eq!(run_with(&[], other), Options::default(), "{other:?}");
    }
}

proptest! {
    #[test]
    fn any_arguments_are_accepted_or_refused_by_name(
        words in prop::collection::vec("(--)?[a-z-]{1,12}(=[\\PC]{0,6})?", 0..4),
    ) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if let Err(error) = parse_with(&words, &[]) {
            prop_assert!(error.to_string().contains(": "));
        }
    }
}

#[test]
fn rules_for_caches_are_repeatable_and_semicolons_separate_them_in_the_environment() {
    let given = ["no-cache", ".css,.JS=public, max-age=60", ".tar.gz=immutable"];
    let arguments = given.map(|rule| format!("--cache-control={rule}"));
    let by_arguments = run(&arguments.each_ref().map(|argument| &argument[..]));
    let by_variable = run_with(&[], &[("STAMPEDE_CACHE_CONTROL", &given.join("; "))]);
    for caching in [by_arguments.content.caching, by_variable.content.caching] {
        let of = |name: &str| caching.cache_control(name.as_bytes()).map(|value| &**value);
        assert_eq!(of("a/b.css"), Some("public, max-age=60"));
        assert_eq!(of("B.js"), Some("public, max-age=60"));
        assert_eq!(of("x.tar.gz"), Some("immutable"));
        assert_eq!(of("x.gz"), Some("no-cache"));
    }
    assert_eq!(run(&[]).content.caching.cache_control(b"x"), None);
}
