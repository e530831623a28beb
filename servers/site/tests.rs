//! Which part of the site answers.

use super::*;
use crate::site::demo::tests::{Answer, exchange};

const INFO: ModelInfo = ModelInfo {
    name: "sped",
    title: "Single Process Event-Driven",
    lesson: "One event loop does everything.",
    task1: "the loop",
    task2: "the loop",
    task3: "the loop",
    in_flight: "many",
    picture: "",
};

/// A site with these options, and what it answers to a request line.
fn ask(options: &Options, line: &str) -> Answer {
    let site = Site::new(options, Metrics::new(1).unwrap(), &INFO).unwrap();
    let mut local = site.local(0);
    let raw = format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n");
    let answer = |request: &Request<'_>, response: &mut Response<'_>| match site
        .handle(&mut local, request, response)
    {
        Action::Done => {}
        Action::Work => site.work(request, response),
        Action::Wait(_) => {
            let done = site.resume(&mut local, request, response);
            assert_eq!(done, Action::Done);
        }
    };
    exchange(&raw, answer).1
}

fn status(options: &Options, line: &str) -> u16 {
    ask(options, line).status.code()
}

fn with_root(root: &tempfile::TempDir) -> Options {
    Options { root: Some(root.path().to_owned()), demo: false, ..Options::default() }
}

#[test]
fn without_a_root_there_are_the_welcome_page_and_the_demonstration() {
    let options = Options::default();
    for target in ["/", "/plaintext", "/json", "/echo", "/work?us=1", "/sleep?ms=1", "/bytes?n=1"] {
        assert_eq!(status(&options, &format!("GET {target}")), 200, "{target}");
    }
    for target in ["/status", "/status.json", "/metrics"] {
        assert_eq!(status(&options, &format!("GET {target}")), 200, "{target}");
    }
    assert_eq!(status(&options, "GET /nothing"), 404);
}

#[test]
fn with_a_root_there_are_its_files_and_only_what_was_asked_for_beside() {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("plaintext"), "a file").unwrap();
    std::fs::write(root.path().join("status"), "a file").unwrap();
    let options = with_root(&root);
    assert_eq!(ask(&options, "GET /plaintext").body.len(), 6);
    assert_eq!(status(&options, "GET /json"), 404);
    assert_eq!(status(&options, "GET /"), 404);
    assert_eq!(status(&options, "GET /status"), 200);
    let options = Options { demo: true, status: false, ..options };
    assert_eq!(ask(&options, "GET /plaintext").text(), "Hello, World!");
    assert_eq!(ask(&options, "GET /status").text(), "a file");
    assert_eq!(status(&options, "GET /metrics"), 404);
}

#[test]
fn a_listing_is_work_and_work_finds_its_way() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("d")).unwrap();
    let options = Options { autoindex: true, demo: true, ..with_root(&root) };
    assert!(ask(&options, "GET /d/").text().contains("Index of /d/"));
    assert!(ask(&options, "GET /work?us=1").text().contains("computed"));
}

#[test]
fn methods_that_nobody_has_are_told_so() {
    let root = tempfile::tempdir().unwrap();
    for options in [Options::default(), with_root(&root)] {
        assert_eq!(status(&options, "FOO /"), 501);
        let echo = if options.demo { 200 } else { 501 };
        assert_eq!(status(&options, "FOO /echo"), echo);
        assert_eq!(status(&options, "get /"), 501);
        for line in ["TRACE /", "CONNECT x:80", "DELETE /"] {
            let answer = ask(&options, line);
            assert_eq!(answer.status.code(), 405, "{line}");
            assert_eq!(answer.field("Allow"), Some("GET, HEAD, OPTIONS"), "{line}");
        }
        let answer = ask(&options, "OPTIONS *");
        assert_eq!(answer.status.code(), 204);
        assert!(answer.field("Allow").unwrap().starts_with("GET, HEAD, "));
        assert_eq!(status(&options, "OPTIONS /"), 204);
    }
}

#[test]
fn a_root_that_cannot_be_opened_is_named() {
    let root = tempfile::tempdir().unwrap();
    let missing = Options { root: Some(root.path().join("nothing")), ..Options::default() };
    let made = Site::new(&missing, Metrics::new(1).unwrap(), &INFO);
    let error = made.err().unwrap().to_string();
    assert!(error.contains("--root") && error.contains("nothing"), "{error}");
}
