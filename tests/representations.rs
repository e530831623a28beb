//! Which representation of a file is served: whole or in part, compressed or not, new or not at
//! all.

mod common;

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use common::server::serves_many;
use common::site::Site;
use common::{Response, until};

#[test]
fn conditions_are_evaluated_in_their_order() {
    let site = Site::start(&[]);
    let old = SystemTime::now() - Duration::from_secs(86_400);
    let file = File::options().write(true).open(site.root().join("page.html")).expect("the file");
    file.set_modified(old).expect("its time");
    let tag = site.strong_tag("/page.html");
    let date = site.ask("/page.html", &[]).field("Last-Modified").expect("a date").to_owned();
    let none_match = format!("If-None-Match: \"x\", {tag}");
    let weak_none_match = format!("If-None-Match: W/{tag}");
    let since = format!("If-Modified-Since: {date}");
    let matches = format!("If-Match: {tag}");
    let weak_match = format!("If-Match: W/{tag}");
    let past = "If-Unmodified-Since: Thu, 01 Jan 2015 00:00:00 GMT";
    let cases: [(&[&str], u16); 12] = [
        (&[&none_match], 304),
        (&[&weak_none_match], 304),
        (&["If-None-Match: *"], 304),
        (&["If-None-Match: \"x\""], 200),
        (&["If-None-Match: \"x\"", &since], 200),
        (&[&since], 304),
        (&["If-Modified-Since: yesterday"], 200),
        (&["If-Match: \"x\""], 412),
        (&[&weak_match], 412),
        (&[past], 412),
        (&[&matches, past], 200),
        (&["Range: bytes=0-4", &none_match], 304),
    ];
    for (fields, status) in cases {
        let answer = site.ask("/page.html", fields);
        assert_eq!(answer.status, status, "{fields:?}");
        if status == 304 {
            assert_eq!(answer.field("ETag"), Some(&*tag));
            assert!(answer.field("Date").is_some());
        }
    }
}

#[test]
fn ranges_are_parts_of_the_file() {
    let site = Site::start(&[]);
    let range = |value: &str| site.ask("/page.html", &[&format!("Range: {value}")]);
    for (value, part, content_range) in [
        ("bytes=0-4", "01234", "bytes 0-4/36"),
        ("bytes=-3", "xyz", "bytes 33-35/36"),
        ("bytes=33-", "xyz", "bytes 33-35/36"),
        ("bytes=30-999", "uvwxyz", "bytes 30-35/36"),
    ] {
        let answer = range(value);
        assert_eq!((answer.status, answer.text()), (206, part), "{value}");
        assert_eq!(answer.field("Content-Range"), Some(content_range));
    }
    let answer = range("bytes=36-");
    assert_eq!((answer.status, answer.field("Content-Range")), (416, Some("bytes */36")));
    for ignored in ["bytes=abc", "bytes=5-2", "frobs=0-4"] {
        assert_eq!(range(ignored).body.len(), 36, "{ignored}");
    }
    let several = range("bytes=0-1,10-12");
    let kind = several.field("Content-Type").expect("a type");
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").expect("a boundary");
    let boundary = boundary.trim_matches('"');
    let text = several.text();
    assert_eq!(several.status, 206);
    assert!(text.contains("Content-Range: bytes 10-12/36\r\n\r\nabc\r\n"), "{text}");
    assert!(text.ends_with(&format!("--{boundary}--\r\n")), "{text}");
    // A request of few bytes must not trigger many.
    let many = "0-,".repeat(500);
    assert!(range(&format!("bytes={}", &many[..many.len() - 1])).body.len() < 10_000);
}

#[test]
fn a_range_of_a_changed_file_is_not_combined_with_the_old_one() {
    let site = Site::start(&["--cache-ttl", "0"]);
    let tag = site.strong_tag("/page.html");
    let if_range = format!("If-Range: {tag}");
    let fields = ["Range: bytes=0-4", if_range.as_str()];
    assert_eq!(site.ask("/page.html", &fields).status, 206);
    fs::write(site.root().join("page.html"), "another content of the file").expect("writing");
    let answer = site.ask("/page.html", &fields);
    assert_eq!((answer.status, answer.text()), (200, "another content of the file"));
}

#[test]
fn compressed_siblings_are_served_to_clients_that_accept_them() {
    let site = Site::start(&[]);
    let ask = |accept: &str| site.ask("/style.css", &[&format!("Accept-Encoding: {accept}")]);
    let mut tags = vec![site.ask("/style.css", &[]).field("ETag").expect("a tag").to_owned()];
    for (accept, coding, content) in [
        ("gzip", Some("gzip"), "gzip of it"),
        ("gzip, br", Some("br"), "brotli of it"),
        ("br;q=0.5, gzip", Some("gzip"), "gzip of it"),
        ("identity", None, "a{}"),
        ("gzip;q=0", None, "a{}"),
        ("zstd", None, "a{}"),
    ] {
        let answer = ask(accept);
        assert_eq!((answer.status, answer.text()), (200, content), "{accept}");
        assert_eq!(answer.field("Content-Encoding"), coding, "{accept}");
        assert_eq!(answer.field("Content-Type"), Some("text/css; charset=utf-8"));
        assert!(answer.field("Vary").is_some_and(|vary| vary.contains("Accept-Encoding")));
        if coding.is_some() {
            tags.push(answer.field("ETag").expect("a tag").to_owned());
        }
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 3, "each coding has a tag of its own: {tags:?}");
    let site = Site::start(&["--no-precompressed"]);
    let answer = site.ask("/style.css", &["Accept-Encoding: gzip, br"]);
    assert_eq!((answer.text(), answer.field("Content-Encoding")), ("a{}", None));
}

#[test]
fn a_root_may_have_its_own_404_page() {
    let site = Site::start(&[]);
    assert_eq!(site.ask("/missing", &[]).status, 404);
    fs::write(site.root().join("404.html"), "<p>not here</p>").expect("a file");
    until("it is found", || site.ask("/missing", &[]).body == b"<p>not here</p>");
    let answer = site.ask("/missing", &[]);
    assert_eq!(answer.status, 404);
    assert_eq!(answer.field("Content-Type"), Some("text/html; charset=utf-8"));
}

/// Reads a file from the cache, changes it, and reads it until it shows.
fn show_after(site: &Site, change: impl FnOnce(&Path), shows: impl Fn(&Response) -> bool) {
    let mut client = site.server.connect();
    for _ in 0..3 {
        assert_eq!(client.get("/page.html").status, 200);
    }
    change(&site.root().join("page.html"));
    let begin = std::time::Instant::now();
    until("the change shows", || shows(&client.get("/page.html")));
    let passed = begin.elapsed();
    assert!(passed < Duration::from_secs(5), "it took {passed:?} to show");
}

#[test]
fn an_edited_replaced_or_removed_file_shows_within_the_cache_time() {
    let site = Site::start(&["--cache-ttl", "200ms"]);
    let tag = site.ask("/page.html", &[]).field("ETag").map(str::to_owned);
    // The same length, and soon after: only the timestamps differ.
    let edited = "ZYXWVUTSRQPONMLKJIHGFEDCBA9876543210";
    show_after(
        &site,
        |file| fs::write(file, edited).expect("writing"),
        |answer| answer.text() == edited,
    );
    assert_ne!(site.ask("/page.html", &[]).field("ETag").map(str::to_owned), tag);
    let replace = |file: &Path| {
        let new = file.with_extension("new");
        fs::write(&new, "replaced").expect("writing");
        fs::rename(new, file).expect("renaming");
    };
    show_after(&site, replace, |answer| answer.text() == "replaced");
    show_after(
        &site,
        |file| fs::remove_file(file).expect("removing"),
        |answer| answer.status == 404,
    );
    fs::write(site.root().join("page.html"), "back").expect("writing");
    until("it is back", || site.ask("/page.html", &[]).text() == "back");
}

#[test]
fn a_cached_file_is_answered_from_memory_until_its_time_is_over() {
    if !serves_many("the metrics are asked for while a client is connected") {
        return;
    }
    let site = Site::start(&["--cache-ttl", "1h"]);
    let mut client = site.server.connect();
    assert_eq!(client.get("/page.html").status, 200);
    let misses = site.server.metric("file_cache_misses_total");
    fs::write(site.root().join("page.html"), "changed").expect("writing");
    for _ in 0..100 {
        assert_eq!(client.get("/page.html").body.len(), 36);
    }
    assert_eq!(site.server.metric("file_cache_misses_total"), misses);
    assert!(site.server.metric("file_cache_hits_total") >= 100);
}

#[test]
fn caches_are_told_what_the_operator_chose() {
    let rules = ["--cache-control", "no-cache", "--cache-control", ".css=public, max-age=60"];
    let site = Site::start(&[&rules[..], &["--etag", "mtime"]].concat());
    for (target, value) in [("/", "no-cache"), ("/style.css", "public, max-age=60")] {
        let whole = site.ask(target, &[]);
        assert_eq!(whole.field("Cache-Control"), Some(value), "{target}");
        let tag = site.strong_tag(target);
        assert_eq!(tag.matches('-').count(), 1, "{tag}");
        for (condition, status) in
            [("Range: bytes=0-0", 206), (&*format!("If-None-Match: {tag}"), 304)]
        {
            let answer = site.ask(target, &[condition]);
            assert_eq!((answer.status, answer.field("Cache-Control")), (status, Some(value)));
        }
    }
    assert_eq!(site.ask("/nothing", &[]).field("Cache-Control"), None);
    let site = Site::start(&["--etag", "off"]);
    let whole = site.ask("/page.html", &[]);
    assert_eq!((whole.field("ETag"), whole.field("Cache-Control")), (None, None));
    let date = whole.field("Last-Modified").expect("a date");
    assert_eq!(site.ask("/page.html", &[&format!("If-Modified-Since: {date}")]).status, 304);
}
