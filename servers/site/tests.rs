//! Which part of the site answers.

use super::*;
use crate::options::Content;
use crate::site::routes::tests::{Answer, exchange};

const INFO: crate::model::ModelInfo = crate::model::ModelInfo {
    name: "sped",
    title: "Single Process Event-Driven",
    lesson: "One event loop does everything.",
    task1: "the loop",
    task2: "the loop",
    task3: "the loop",
    in_flight: "many",
    picture: "",
    disk: crate::app::Disk::Wait,
};

/// A site with these options, and what it answers to a request line.
fn ask(options: &Options, line: &str) -> Answer {
    let site = Site::new(options, Metrics::new(1).unwrap(), (&INFO).into()).unwrap();
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
    let root = Some(root.path().to_owned());
    let content = Content { root, demo: false, ..Content::default() };
    Options { content, ..Options::default() }
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
    let mut options = with_root(&root);
    assert_eq!(ask(&options, "GET /plaintext").body.len(), 6);
    assert_eq!(status(&options, "GET /json"), 404);
    assert_eq!(status(&options, "GET /"), 404);
    assert_eq!(status(&options, "GET /status"), 200);
    (options.content.demo, options.content.status) = (true, false);
    assert_eq!(ask(&options, "GET /plaintext").text(), "Hello, World!");
    assert_eq!(ask(&options, "GET /status").text(), "a file");
    assert_eq!(status(&options, "GET /metrics"), 404);
}

#[test]
fn a_listing_is_work_and_reaches_the_files() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("d")).unwrap();
    let mut options = with_root(&root);
    (options.content.autoindex, options.content.demo) = (true, true);
    assert!(ask(&options, "GET /d/").text().contains("Index of /d/"));
    assert!(ask(&options, "GET /work?us=1").text().contains("computed"));
}

#[test]
fn unknown_and_unsupported_methods_get_501_and_405() {
    let root = tempfile::tempdir().unwrap();
    for options in [Options::default(), with_root(&root)] {
        assert_eq!(status(&options, "FOO /"), 501);
        let echo = if options.content.demo { 200 } else { 501 };
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
    let mut missing = Options::default();
    missing.content.root = Some(root.path().join("nothing"));
    let made = Site::new(&missing, Metrics::new(1).unwrap(), (&INFO).into());
    let error = made.err().unwrap().to_string();
    assert!(error.contains("--root") && error.contains("nothing"), "{error}");
}
