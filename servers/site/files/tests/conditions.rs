//! Conditions and ranges, in whole answers.

use super::{Answer, Root, Server};
use crate::options::{Caching, EtagMode, Options, Parsed};

const CONTENTS: &str = "01234567890123456789012345678901234567890123456789";

/// A server of 50 bytes in memory and of 100,000 in an open file; the tag and date of the first.
fn server() -> (Root, Server, String, String) {
    let root = Root::new(&[("f", CONTENTS), ("large", &CONTENTS.repeat(2000))]);
    let mut server = Server::new(&root);
    let answer = server.get("/f");
    let tag = answer.field("ETag").unwrap().to_owned();
    let date = answer.field("Last-Modified").unwrap().to_owned();
    (root, server, tag, date)
}

#[test]
fn conditions_are_weighed_in_the_order_of_the_rfc() {
    let (_root, mut server, tag, date) = server();
    let before = "Thu, 01 Jan 2015 00:00:00 GMT";
    let cases: Vec<(u16, Vec<String>)> = vec![
        (304, vec![format!("If-None-Match: {tag}")]),
        (304, vec!["If-None-Match: *".into()]),
        (304, vec![format!("If-None-Match: \"x\", W/{tag}")]),
        (304, vec!["If-None-Match: \"x\"".into(), format!("If-None-Match: {tag}")]),
        (200, vec!["If-None-Match: \"nope\"".into(), format!("If-Modified-Since: {date}")]),
        (304, vec![format!("If-Modified-Since: {date}")]),
        (200, vec![format!("If-Modified-Since: {before}")]),
        (200, vec!["If-Modified-Since: yesterday".into()]),
        (412, vec!["If-Match: \"nope\"".into()]),
        (412, vec![format!("If-Match: W/{tag}")]),
        (200, vec!["If-Match: *".into()]),
        (412, vec![format!("If-Unmodified-Since: {before}")]),
        (200, vec![format!("If-Match: {tag}"), format!("If-Unmodified-Since: {before}")]),
        (304, vec!["Range: bytes=0-4".into(), format!("If-None-Match: {tag}")]),
        (412, vec!["Range: bytes=0-4".into(), "If-Match: \"x\"".into()]),
    ];
    for (status, fields) in cases {
        let fields: Vec<_> = fields.iter().map(String::as_str).collect();
        assert_eq!(server.get_with("/f", &fields).status, status, "{fields:?}");
    }
    // A missing file has no state that conditions could apply to.
    assert_eq!(server.get_with("/nothing", &["If-Match: \"x\""]).status, 404);
}

#[test]
fn a_304_carries_the_tag_and_nothing_else() {
    let (root, mut server, tag, _) = server();
    root.write("f.gz", "compressed");
    server.pass_ms(1000);
    for method in ["GET", "HEAD"] {
        let answer = server.ask(method, "/f", &[&format!("If-None-Match: {tag}")]);
        assert_eq!((answer.status, answer.body.len()), (304, 0));
        assert_eq!(answer.field("ETag"), Some(&*tag));
        assert_eq!(answer.field("Vary"), Some("Accept-Encoding"));
        assert_eq!((answer.field("Content-Length"), answer.field("Content-Type")), (None, None));
        assert!(answer.field("Date").is_some());
    }
    // The tag of one coding is not the tag of another.
    let fields = ["Accept-Encoding: gzip", &format!("If-None-Match: {tag}")];
    assert_eq!(server.get_with("/f", &fields).text(), "compressed");
}

fn assert_part(answer: &Answer, range: &str, body: &str) {
    assert_eq!(answer.status, 206);
    assert_eq!(answer.field("Content-Range"), Some(range));
    assert_eq!(answer.text(), body);
    answer.assert_length();
}

#[test]
fn one_range_is_a_part() {
    let (_root, mut server, _, _) = server();
    for (asked, range, body) in [
        ("0-4", "bytes 0-4/50", "01234"),
        ("-5", "bytes 45-49/50", "56789"),
        ("45-", "bytes 45-49/50", "56789"),
        ("0-999", "bytes 0-49/50", CONTENTS),
    ] {
        let answer = server.get_with("/f", &[&format!("Range: bytes={asked}")]);
        assert_part(&answer, range, body);
    }
    let answer = server.get_with("/large", &["Range: bytes=99998-"]);
    assert_part(&answer, "bytes 99998-99999/100000", "89");
    let head = server.ask("HEAD", "/f", &["Range: bytes=0-4"]);
    assert_eq!((head.status, head.field("Content-Length")), (200, Some("50")));
}

#[test]
fn what_cannot_be_had_is_416_and_what_is_no_range_is_ignored() {
    let (_root, mut server, _, _) = server();
    for asked in ["50-", "-0", "99999999999999999999-"] {
        let answer = server.get_with("/f", &[&format!("Range: bytes={asked}")]);
        assert_eq!((answer.status, answer.field("Content-Range")), (416, Some("bytes */50")));
        answer.assert_length();
    }
    let many = format!("Range: bytes={}", vec!["0-"; 300].join(","));
    for fields in [
        &["Range: bytes=abc"][..],
        &["Range: bytes=5-2"],
        &["Range: frobs=0-4"],
        &["Range: bytes=0-1", "Range: bytes=4-5"],
        &[&many],
    ] {
        let answer = server.get_with("/f", fields);
        assert_eq!((answer.status, answer.text()), (200, CONTENTS));
    }
}

#[test]
fn several_ranges_are_multipart() {
    let (_root, mut server, _, _) = server();
    for (target, size) in [("/f", 50), ("/large", 100_000)] {
        let answer = server.get_with(target, &["Range: bytes=0-1,4-5"]);
        assert_eq!(answer.status, 206);
        answer.assert_length();
        assert_eq!(answer.field("Content-Range"), None);
        let media = answer.field("Content-Type").unwrap();
        let boundary = media.strip_prefix("multipart/byteranges; boundary=").unwrap();
        let part = |range: &str, body: &str| {
            format!(
                "--{boundary}\r\nContent-Type: application/octet-stream\r\n\
                 Content-Range: bytes {range}/{size}\r\n\r\n{body}\r\n"
            )
        };
        let expected = format!("{}{}--{boundary}--\r\n", part("0-1", "01"), part("4-5", "45"));
        assert_eq!(answer.text(), expected);
    }
}

#[test]
fn if_range_wants_the_very_same_bytes() {
    let (_root, mut server, tag, date) = server();
    for (status, validator) in [
        (206, tag.clone()),
        (206, date),
        (200, "\"other\"".into()),
        (200, format!("W/{tag}")),
        (200, "Thu, 01 Jan 2015 00:00:00 GMT".into()),
    ] {
        let fields = ["Range: bytes=0-4", &format!("If-Range: {validator}")];
        assert_eq!(server.get_with("/f", &fields).status, status, "{validator}");
    }
}

#[test]
fn a_young_file_has_a_weak_tag_until_it_is_looked_at_again() {
    let root = Root::new(&[("f", CONTENTS)]);
    let mut server = Server::new(&root);
    server.files.ahead = std::time::Duration::ZERO;
    let answer = server.get("/f");
    let weak = answer.field("ETag").unwrap().to_owned();
    let date = answer.field("Last-Modified").unwrap();
    assert!(weak.starts_with("W/\""));
    for validator in [&weak, &weak[2..], date] {
        let fields = ["Range: bytes=0-4", &format!("If-Range: {validator}")];
        assert_eq!(server.get_with("/f", &fields).status, 200, "{validator}");
    }
    assert_eq!(server.get_with("/f", &[&format!("If-None-Match: {weak}")]).status, 304);
    server.files.ahead = std::time::Duration::from_secs(2);
    server.pass_ms(1000);
    assert_eq!(server.get("/f").field("ETag"), Some(&weak[2..]));
}

#[test]
fn without_a_tag_the_date_is_the_validator() {
    let root = Root::new(&[("a", "hello")]);
    let mut server = Server::with(&root, |options| options.content.caching.etag = EtagMode::Off);
    let first = server.get("/a");
    assert_eq!((first.status, first.field("ETag")), (200, None));
    let date = first.field("Last-Modified").unwrap().to_owned();
    let again = server.get_with("/a", &[&format!("If-Modified-Since: {date}")]);
    assert_eq!((again.status, again.field("ETag")), (304, None));
    assert_eq!(again.field("Last-Modified"), Some(&*date));
    assert_eq!(server.get_with("/a", &["If-None-Match: \"\""]).status, 200);
    assert_eq!(server.get_with("/a", &["If-None-Match: *"]).status, 304);
    assert_eq!(server.get_with("/a", &["If-Match: \"x\""]).status, 412);
}

#[test]
fn cache_control_is_on_whole_part_and_not_modified_and_on_no_error() {
    let root = Root::new(&[
        ("index.html", "page"),
        ("a.CSS", "style"),
        ("large.css", &"x".repeat(100_000)),
        ("404.html", "none"),
    ]);
    let mut server = Server::with(&root, |options| {
        let arguments = ["--cache-control", "no-cache", "--cache-control", ".css,.js=max-age=60"];
        options.content.caching = of(&arguments);
    });
    let field = |answer: &Answer| answer.field("Cache-Control").map(str::to_owned);
    for (target, value) in
        [("/", "no-cache"), ("/a.CSS", "max-age=60"), ("/large.css", "max-age=60")]
    {
        let whole = server.get(target);
        assert_eq!((whole.status, field(&whole).as_deref()), (200, Some(value)), "{target}");
        let part = server.get_with(target, &["Range: bytes=1-2"]);
        assert_eq!((part.status, field(&part).as_deref()), (206, Some(value)), "{target}");
        let parts = server.get_with(target, &["Range: bytes=0-0,3-3"]);
        assert_eq!((parts.status, field(&parts).as_deref()), (206, Some(value)), "{target}");
        let not = server.get_with(target, &["If-None-Match: *"]);
        assert_eq!((not.status, field(&not).as_deref()), (304, Some(value)), "{target}");
    }
    assert_eq!(field(&server.get("/nothing.css")), None);
    assert_eq!(field(&Server::new(&root).get("/")), None);
}

/// The caching options of a command line.
fn of(arguments: &[&str]) -> Caching {
    let info = &crate::models::sped::INFO;
    let arguments = arguments.iter().map(std::ffi::OsString::from);
    match Options::from_env_and_args(info, &[], arguments, |_| None) {
        Ok(Parsed::Run(options)) => options.content.caching,
        other => panic!("{other:?}"),
    }
}
