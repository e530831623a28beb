//! The site from outside: nothing beneath the root is served wrongly, nothing beyond it at all.

mod common;

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime};

use common::{Client, Response, Server, os, request, until};

const SECRET: &str = "root:x:0:0 the secret outside";

/// A site with everything that may go wrong in it, and a secret beside it.
struct Site {
    folder: tempfile::TempDir,
    server: Server,
}

impl Site {
    fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a directory");
        let root = folder.path().join("root");
        fill(folder.path(), &root);
        let server =
            Server::start(&[&["--root", root.to_str().expect("UTF-8")], arguments].concat());
        Site { folder, server }
    }

    fn root(&self) -> std::path::PathBuf {
        self.folder.path().join("root")
    }

    fn ask(&self, target: &str, fields: &[&str]) -> Response {
        self.server.exchange(&request("GET", target, fields))
    }

    /// Waits until a file's tag is strong: a file that was changed a moment ago has a weak one, for
    /// it might change again within the resolution of its times.
    fn strong_tag(&self, target: &str) -> String {
        let tag = || {
            self.ask(target, &[])
                .field("ETag")
                .expect("an ETag")
                .to_owned()
        };
        until("a strong tag", || !tag().starts_with("W/"));
        tag()
    }
}

fn fill(folder: &Path, root: &Path) {
    let write = |name: &str, text: &str| fs::write(root.join(name), text).expect("a file");
    fs::create_dir_all(root.join("inner/deep")).expect("directories");
    fs::create_dir_all(root.join("empty")).expect("directories");
    fs::write(folder.join("secret"), SECRET).expect("a file");
    write("index.html", "<p>the index</p>");
    write("page.html", "0123456789abcdefghijklmnopqrstuvwxyz");
    write("style.css", "a{}");
    write("style.css.gz", "gzip of it");
    write("style.css.br", "brotli of it");
    write("with space & ümlaut.txt", "named");
    write("inner/index.html", "inner index");
    write("inner/deep/file", "deep");
    write(".hidden", SECRET);
    fs::create_dir(root.join(".git")).expect("a directory");
    write(".git/config", SECRET);
    symlink("page.html", root.join("link-inside")).expect("a link");
    symlink("../secret", root.join("link-out")).expect("a link");
    symlink(folder.join("secret"), root.join("link-absolute")).expect("a link");
    symlink(root.join("page.html"), root.join("link-absolute-inside")).expect("a link");
    symlink("..", root.join("inner/up")).expect("a link");
    symlink("../..", root.join("inner/up-and-out")).expect("a link");
    symlink("loop", root.join("loop")).expect("a link");
    symlink("/proc/self/environ", root.join("link-proc")).expect("a link");
    os::make_fifo(&root.join("fifo"));
}

#[test]
fn nothing_outside_the_root_is_ever_served() {
    let site = Site::start(&["--autoindex"]);
    let targets = [
        "/../secret",
        "/../../../../../../etc/passwd",
        "/%2e%2e/secret",
        "/%2E%2E/secret",
        "/.%2e/secret",
        "/%2e./secret",
        "/..%2fsecret",
        "/%2e%2e%2fsecret",
        "/inner/../../secret",
        "/inner/%2e%2e/%2e%2e/secret",
        "/inner/..%2f..%2fsecret",
        "/..\\secret",
        "/%5c..%5csecret",
        "/%252e%252e/secret",
        "//../secret",
        "/./../secret",
        "/page.html/../../secret",
        "/%c0%ae%c0%ae/secret",
        "/link-out",
        "/link-absolute",
        "/inner/up-and-out/secret",
        "/inner/up/../../secret",
        "/link-proc",
        "/loop",
        "/page.html%00.txt",
        "/%00",
        "/secret",
        "http://localhost/../secret",
        "/.hidden",
        "/%2ehidden",
        "/.git/config",
        "/%2egit/config",
        "/inner/../.hidden",
        "/proc/self/environ",
        "/dev/zero",
    ];
    for target in targets {
        let answer = site.ask(target, &[]);
        assert!(
            [400, 403, 404].contains(&answer.status),
            "{target}: {answer:?}"
        );
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!body.contains("root:"), "{target}: {body}");
    }
}

#[test]
fn what_stays_inside_is_served_by_whatever_name() {
    let site = Site::start(&[]);
    let page = "0123456789abcdefghijklmnopqrstuvwxyz";
    for (target, content) in [
        ("/page.html", page),
        ("/page.html?query=/../..", page),
        ("/%70age%2Ehtml", page),
        ("/link-inside", page),
        ("/inner/up/page.html", page),
        ("/inner/../page.html", page),
        ("/inner/./deep/file", "deep"),
        ("/inner/", "inner index"),
        ("/with%20space%20&%20%C3%BCmlaut.txt", "named"),
        ("http://localhost/page.html", page),
        ("/", "<p>the index</p>"),
    ] {
        let answer = site.ask(target, &[]);
        assert_eq!((answer.status, answer.text()), (200, content), "{target}");
    }
}

#[test]
fn a_directory_is_redirected_to_its_slash_and_never_elsewhere() {
    let site = Site::start(&[]);
    let answer = site.ask("/inner?a=b", &[]);
    assert_eq!(answer.status, 301);
    assert_eq!(answer.field("Location"), Some("/inner/?a=b"));
    // A Location that begins with two slashes would name another host.
    for target in [
        "//inner",
        "///inner",
        "//example.org/..",
        "/%2f/example.org/%2e%2e",
    ] {
        let answer = site.ask(target, &[]);
        let location = answer.field("Location").unwrap_or("/");
        assert!(
            location.starts_with('/') && !location.starts_with("//"),
            "{target}: {answer:?}"
        );
    }
}

#[test]
fn directories_are_listed_only_when_asked_for() {
    let site = Site::start(&[]);
    assert_eq!(site.ask("/empty/", &[]).status, 404);
    let site = Site::start(&["--autoindex"]);
    assert_eq!(site.ask("/empty/", &[]).status, 200);
    fs::remove_file(site.root().join("index.html")).expect("removing the index");
    fs::write(site.root().join("<b>\"&.txt"), "").expect("a file");
    let mut listing = site.ask("/", &[]);
    until("the index is gone", || {
        listing = site.ask("/", &[]);
        !listing.text().contains("the index")
    });
    let text = listing.text();
    assert!(
        text.contains("page.html") && text.contains("inner/"),
        "{text}"
    );
    assert!(text.contains("&lt;b&gt;"), "{text}");
    assert!(
        !text.contains("<b>") && !text.contains("hidden") && !text.contains(".git"),
        "{text}"
    );
}

#[test]
fn what_is_no_file_is_not_served_and_blocks_nobody() {
    let site = Site::start(&[]);
    assert!([403, 404].contains(&site.ask("/fifo", &[]).status));
    assert_eq!(site.ask("/page.html", &[]).status, 200);
}

#[test]
fn dot_files_are_served_only_when_asked_for() {
    let site = Site::start(&["--dotfiles"]);
    assert_eq!(site.ask("/.hidden", &[]).text(), SECRET);
    assert!([400, 403, 404].contains(&site.ask("/../secret", &[]).status));
}

#[test]
fn only_reading_methods_are_allowed() {
    let site = Site::start(&[]);
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let answer = site
            .server
            .exchange(&request(method, "/page.html", &["Content-Length: 0"]));
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(
            answer.field("Allow"),
            Some("GET, HEAD, OPTIONS"),
            "{method}"
        );
    }
    let answer = site.server.exchange(&request("OPTIONS", "/page.html", &[]));
    assert_eq!(
        (answer.status, answer.field("Allow")),
        (204, Some("GET, HEAD, OPTIONS"))
    );
    assert!(site.root().join("page.html").exists());
}

#[test]
fn conditions_are_evaluated_in_their_order() {
    let site = Site::start(&[]);
    let old = SystemTime::now() - Duration::from_secs(86_400);
    let file = File::options()
        .write(true)
        .open(site.root().join("page.html"))
        .expect("the file");
    file.set_modified(old).expect("its time");
    let tag = site.strong_tag("/page.html");
    let date = site
        .ask("/page.html", &[])
        .field("Last-Modified")
        .expect("a date")
        .to_owned();
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
    assert_eq!(
        (answer.status, answer.field("Content-Range")),
        (416, Some("bytes */36"))
    );
    for ignored in ["bytes=abc", "bytes=5-2", "frobs=0-4"] {
        assert_eq!(range(ignored).body.len(), 36, "{ignored}");
    }
    let several = range("bytes=0-1,10-12");
    let kind = several.field("Content-Type").expect("a type");
    let boundary = kind
        .strip_prefix("multipart/byteranges; boundary=")
        .expect("a boundary");
    let boundary = boundary.trim_matches('"');
    let text = several.text();
    assert_eq!(several.status, 206);
    assert!(
        text.contains("Content-Range: bytes 10-12/36\r\n\r\nabc\r\n"),
        "{text}"
    );
    assert!(text.ends_with(&format!("--{boundary}--\r\n")), "{text}");
    // A request of few bytes must not ask for many.
    let many = "0-,".repeat(500);
    assert!(
        range(&format!("bytes={}", &many[..many.len() - 1]))
            .body
            .len()
            < 10_000
    );
}

#[test]
fn a_changed_file_is_not_continued_from_the_old_one() {
    let site = Site::start(&["--cache-ttl", "0"]);
    let tag = site.strong_tag("/page.html");
    let if_range = format!("If-Range: {tag}");
    let fields = ["Range: bytes=0-4", if_range.as_str()];
    assert_eq!(site.ask("/page.html", &fields).status, 206);
    fs::write(site.root().join("page.html"), "another content of the file").expect("writing");
    let answer = site.ask("/page.html", &fields);
    assert_eq!(
        (answer.status, answer.text()),
        (200, "another content of the file")
    );
}

#[test]
fn compressed_siblings_are_served_to_those_who_take_them() {
    let site = Site::start(&[]);
    let ask = |accept: &str| site.ask("/style.css", &[&format!("Accept-Encoding: {accept}")]);
    let mut tags = vec![
        site.ask("/style.css", &[])
            .field("ETag")
            .expect("a tag")
            .to_owned(),
    ];
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
        assert_eq!(
            answer.field("Content-Type"),
            Some("text/css; charset=utf-8")
        );
        assert!(
            answer
                .field("Vary")
                .is_some_and(|vary| vary.contains("Accept-Encoding"))
        );
        if coding.is_some() {
            tags.push(answer.field("ETag").expect("a tag").to_owned());
        }
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 3, "each coding has a tag of its own: {tags:?}");
    let site = Site::start(&["--no-precompressed"]);
    let answer = site.ask("/style.css", &["Accept-Encoding: gzip, br"]);
    assert_eq!(
        (answer.text(), answer.field("Content-Encoding")),
        ("a{}", None)
    );
}

#[test]
fn a_root_may_have_its_own_page_for_what_is_missing() {
    let site = Site::start(&[]);
    assert_eq!(site.ask("/missing", &[]).status, 404);
    fs::write(site.root().join("404.html"), "<p>not here</p>").expect("a file");
    until("it is found", || {
        site.ask("/missing", &[]).body == b"<p>not here</p>"
    });
    let answer = site.ask("/missing", &[]);
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.field("Content-Type"),
        Some("text/html; charset=utf-8")
    );
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
    assert!(
        passed < Duration::from_secs(5),
        "it took {passed:?} to show"
    );
}

#[test]
fn an_edited_replaced_or_removed_file_shows_within_the_cache_time() {
    let site = Site::start(&["--cache-ttl", "200ms"]);
    let tag = site.ask("/page.html", &[]).field("ETag").map(str::to_owned);
    // The same length, and soon after: times alone tell.
    let edited = "ZYXWVUTSRQPONMLKJIHGFEDCBA9876543210";
    show_after(
        &site,
        |file| fs::write(file, edited).expect("writing"),
        |answer| answer.text() == edited,
    );
    assert_ne!(
        site.ask("/page.html", &[]).field("ETag").map(str::to_owned),
        tag
    );
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
    until("it is back", || {
        site.ask("/page.html", &[]).text() == "back"
    });
}

#[test]
fn a_cached_file_is_answered_from_memory_until_its_time_is_over() {
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

/// A name that is swapped between a file inside and a link outside while it is being asked for.
#[test]
fn a_race_of_links_never_leads_out() {
    let site = Site::start(&["--cache-ttl", "0"]);
    let root = site.root();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                for to in ["../secret", "page.html", "inner"] {
                    symlink(to, root.join("swap")).expect("a link");
                    fs::rename(root.join("swap"), root.join("raced")).expect("renaming");
                }
            }
        });
        let mut client: Client = site.server.connect();
        for _ in 0..2_000 {
            for target in ["/raced", "/raced/deep/file"] {
                let answer = client.get(target);
                assert!(!String::from_utf8_lossy(&answer.body).contains(SECRET));
                assert!([200, 301, 403, 404].contains(&answer.status), "{answer:?}");
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}
