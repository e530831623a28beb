//! The site from outside: everything beneath the root is served by all its names, and nothing
//! outside it.

mod common;

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use common::site::{SECRET, Site};
use common::{Client, os, request, until};

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
        assert!([400, 403, 404].contains(&answer.status), "{target}: {answer:?}");
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!body.contains("root:"), "{target}: {body}");
    }
}

#[test]
fn links_within_the_root_are_served() {
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
    for target in ["//inner", "///inner", "//example.org/..", "/%2f/example.org/%2e%2e"] {
        let answer = site.ask(target, &[]);
        let location = answer.field("Location").unwrap_or("/");
        assert!(location.starts_with('/') && !location.starts_with("//"), "{target}: {answer:?}");
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
    assert!(text.contains("page.html") && text.contains("inner/"), "{text}");
    assert!(text.contains("&lt;b&gt;"), "{text}");
    assert!(!text.contains("<b>") && !text.contains("hidden") && !text.contains(".git"), "{text}");
}

#[test]
fn special_files_are_not_served_and_do_not_block() {
    let site = Site::start(&[]);
    assert!([403, 404].contains(&site.ask("/fifo", &[]).status));
    assert_eq!(site.ask("/page.html", &[]).status, 200);
}

/// A thread that has opened a FIFO for writing and waits for a reader: what its first write returns.
fn waiting_writer(fifo: PathBuf) -> JoinHandle<io::Result<()>> {
    let (begun, begins) = mpsc::channel();
    let writer = thread::spawn(move || {
        let thread = fs::read_link("/proc/thread-self");
        begun.send(thread.map(|link| Path::new("/proc").join(link))).expect("the test waits");
        fs::OpenOptions::new().write(true).open(fifo)?.write_all(b"x")
    });
    if let Ok(thread) = begins.recv().expect("it has begun") {
        let state = || fs::read_to_string(thread.join("stat")).expect("the thread's state");
        until("a writer that waits", || state().contains(") S "));
    }
    writer
}

#[test]
fn special_files_are_not_opened_so_that_a_waiting_writer_waits_on() {
    let site = Site::start(&["--autoindex"]);
    let root = site.root();
    for name in ["empty/index.html", "page.html.gz", "404.html"] {
        os::make_fifo(&root.join(name));
    }
    symlink("fifo", root.join("fifo-link")).expect("a link");
    let fifos = ["fifo", "empty/index.html", "page.html.gz", "404.html"];
    let writers = fifos.map(|name| waiting_writer(root.join(name)));
    for target in ["/fifo", "/fifo-link", "/empty/", "/empty/index.html", "/page.html.gz"] {
        let status = site.ask(target, &["Accept-Encoding: gzip"]).status;
        assert!(
            matches!(status, 404) || (target, status) == ("/empty/", 200),
            "{target}: {status}"
        );
    }
    assert_eq!(site.ask("/page.html", &["Accept-Encoding: gzip"]).field("Content-Encoding"), None);
    assert_eq!(site.ask("/404.html", &[]).text(), "404 Not Found\n");
    assert!(!site.ask("/inner/deep/", &[]).text().contains("fifo"));
    for (name, writer) in fifos.into_iter().zip(writers) {
        assert!(!writer.is_finished(), "{name} was opened");
        let mut reader = fs::OpenOptions::new();
        let mut reader = reader.read(true).open(root.join(name)).expect("the writer's other end");
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("what the writer has written");
        writer.join().expect("no panic").expect("a reader");
        assert_eq!(text, "x", "{name}");
    }
}

#[test]
fn well_known_files_are_served_without_the_other_dot_files() {
    let site = Site::start(&[]);
    fs::create_dir_all(site.root().join(".well-known/acme-challenge")).expect("a directory");
    fs::write(site.root().join(".well-known/acme-challenge/token"), "proof").expect("a file");
    fs::write(site.root().join(".well-known/.hidden"), SECRET).expect("a file");
    assert_eq!(site.ask("/.well-known/acme-challenge/token", &[]).text(), "proof");
    assert_eq!(site.ask("/.well-known/.hidden", &[]).status, 404);
    assert_eq!(site.ask("/.git/config", &[]).status, 404);
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
        let answer = site.server.exchange(&request(method, "/page.html", &["Content-Length: 0"]));
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.field("Allow"), Some("GET, HEAD, OPTIONS"), "{method}");
    }
    let answer = site.server.exchange(&request("OPTIONS", "/page.html", &[]));
    assert_eq!((answer.status, answer.field("Allow")), (204, Some("GET, HEAD, OPTIONS")));
    assert!(site.root().join("page.html").exists());
}

/// A name that alternates between a file inside and a link outside while it is requested.
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
