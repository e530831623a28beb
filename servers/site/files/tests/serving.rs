//! Files that exist, and the answers with them.

use super::{Root, Server};

const OLD: std::time::Duration = std::time::Duration::from_secs(1_767_225_600);

fn set_modified(root: &Root, name: &str, since_1970: std::time::Duration) {
    let file = std::fs::File::options().write(true).open(root.path().join(name)).unwrap();
    file.set_modified(std::time::UNIX_EPOCH + since_1970).unwrap();
}

#[test]
fn a_file_comes_with_its_fields() {
    let root = Root::new(&[("index.html", "<p>hello")]);
    set_modified(&root, "index.html", OLD);
    let mut server = Server::new(&root);
    for target in ["/index.html", "/", "/?a=b&c=%20?", "/%69ndex.html"] {
        let answer = server.get(target);
        assert_eq!((answer.status, answer.text()), (200, "<p>hello"), "{target}");
        answer.assert_length();
        assert_eq!(answer.field("Content-Type"), Some("text/html; charset=utf-8"));
        assert_eq!(answer.field("Last-Modified"), Some("Thu, 01 Jan 2026 00:00:00 GMT"));
        assert_eq!(answer.field("Accept-Ranges"), Some("bytes"));
        assert_eq!(answer.field("Vary"), None);
        let etag = answer.field("ETag").unwrap();
        assert!(etag.starts_with('"') && etag.ends_with('"'));
    }
}

#[test]
fn head_has_the_fields_of_get_and_no_body() {
    let large = "x".repeat(100_000);
    let root = Root::new(&[("small", "hello"), ("large", &large)]);
    let mut server = Server::new(&root);
    for target in ["/small", "/large", "/nothing"] {
        let (get, head) = (server.get(target), server.ask("HEAD", target, &[]));
        assert_eq!(get.head, head.head);
        assert!(head.body.is_empty());
    }
}

#[test]
fn files_of_every_size_arrive_whole() {
    let root = Root::new(&[]);
    let mut server = Server::new(&root);
    for size in [0, 1, 4096, 4097, 65_535, 65_536, 65_537, 1 << 20] {
        let contents: Vec<u8> = (0..size).map(|i| (i * 7 + i / 256) as u8).collect();
        let name = format!("f{size}.bin");
        root.write(&name, &contents);
        for _ in 0..2 {
            let answer = server.get(&format!("/{name}"));
            assert_eq!(answer.body, contents);
            answer.assert_length();
            assert_eq!(answer.field("Content-Type"), Some("application/octet-stream"));
        }
    }
}

#[test]
fn a_directory_wants_its_slash_and_then_its_index() {
    let root =
        Root::new(&[("a/b c/index.html", "index"), ("a/file", "file"), ("a/b c/index.htm", "2")]);
    let mut server = Server::with(&root, |options| {
        options.content.index = vec!["index.htm".into(), "index.html".into()]
    });
    let answer = server.get("/a/b%20c?x=/y");
    assert_eq!((answer.status, answer.field("Location")), (301, Some("/a/b%20c/?x=/y")));
    assert_eq!(server.get("//a//b%20c").field("Location"), Some("/a/b%20c/"));
    assert_eq!(server.get("/a/b%20c/").text(), "2");
    std::fs::remove_file(root.path().join("a/b c/index.htm")).unwrap();
    server.pass_ms(1000);
    assert_eq!(server.get("/a/b%20c/").text(), "index");
    assert_eq!(server.get("/a/").status, 404);
    assert_eq!(server.get("/a/file/").status, 404);
    assert_eq!(server.get("/a/file/x").status, 404);
    assert_eq!(server.get("/nothing/").status, 404);
}

#[test]
fn a_listing_shows_what_would_be_served() {
    let root = Root::new(&[
        ("d/z.txt", "zz"),
        ("d/a b.txt", "a"),
        ("d/.hidden", ""),
        ("d/sub/x", ""),
        ("d/<i>", ""),
    ]);
    root.link("d/out", "/etc/passwd");
    root.link("d/in", "z.txt");
    let mut server = Server::with(&root, |options| options.content.autoindex = true);
    let answer = server.get("/d/");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.field("Content-Type"), Some("text/html; charset=utf-8"));
    answer.assert_length();
    let links: Vec<_> =
        answer.text().split("href=\"").skip(1).map(|it| it.split('"').next().unwrap()).collect();
    assert_eq!(links, ["../", "./sub/", "./%3Ci%3E", "./a%20b.txt", "./in", "./z.txt"]);
    assert!(!server.get("/").text().contains("../"));
    assert!(server.ask("HEAD", "/d/", &[]).body.is_empty());
    assert_eq!(server.get("/d/nothing/").status, 404);
    assert_eq!(server.get("/d").status, 301);
    assert_eq!(Server::new(&root).get("/d/").status, 404);
}

#[test]
fn the_roots_own_page_stands_for_what_is_missing() {
    let root = Root::new(&[]);
    let mut server = Server::new(&root);
    let answer = server.get("/nothing");
    assert_eq!((answer.status, answer.text()), (404, "404 Not Found\n"));
    root.write("404.html", "<p>custom");
    // Asking again in the meantime does not delay that.
    server.pass_ms(999);
    assert_eq!(server.get("/nothing").text(), "404 Not Found\n");
    server.pass_ms(1);
    let answer = server.get_with("/nothing", &["Range: bytes=0-1", "If-None-Match: *"]);
    assert_eq!((answer.status, answer.text()), (404, "<p>custom"));
    answer.assert_length();
    assert_eq!(answer.field("Content-Type"), Some("text/html; charset=utf-8"));
    assert_eq!((answer.field("ETag"), answer.field("Last-Modified")), (None, None));
    assert_eq!(server.get("/404.html").status, 200);
    root.write("404.html", "x".repeat(100_000));
    server.pass_ms(1000);
    let answer = server.get("/.hidden");
    assert_eq!((answer.status, answer.body.len()), (404, 100_000));
}

#[test]
fn other_methods_learn_which_are_allowed() {
    let root = Root::new(&[("a", "hello")]);
    let mut server = Server::new(&root);
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let answer = server.ask(method, "/a", &[]);
        assert_eq!((answer.status, answer.field("Allow")), (405, Some("GET, HEAD, OPTIONS")));
    }
    let answer = server.ask("OPTIONS", "/a", &[]);
    assert_eq!((answer.status, answer.field("Allow")), (204, Some("GET, HEAD, OPTIONS")));
}

#[test]
fn compressed_siblings_are_chosen_by_the_client() {
    let root =
        Root::new(&[("a.js", "plain"), ("a.js.gz", "GZIP"), ("a.js.br", "BR"), ("b.js", "alone")]);
    let mut server = Server::new(&root);
    let mut tags = Vec::new();
    for (accepted, coding, contents) in [
        ("gzip", Some("gzip"), "GZIP"),
        ("gzip, br, zstd", Some("br"), "BR"),
        ("zstd", None, "plain"),
        ("br;q=0, *;q=0.1", Some("gzip"), "GZIP"),
    ] {
        let answer = server.get_with("/a.js", &[&format!("Accept-Encoding: {accepted}")]);
        assert_eq!((answer.field("Content-Encoding"), answer.text()), (coding, contents));
        assert_eq!(answer.field("Vary"), Some("Accept-Encoding"));
        assert_eq!(answer.field("Content-Type"), Some("text/javascript; charset=utf-8"));
        answer.assert_length();
        tags.push(answer.field("ETag").unwrap().to_owned());
    }
    assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[0] != tags[2]);
    assert_eq!(server.get("/a.js").field("Vary"), Some("Accept-Encoding"));
    assert_eq!(server.get_with("/b.js", &["Accept-Encoding: br"]).field("Vary"), None);
    let sibling = server.get("/a.js.gz");
    assert_eq!(sibling.field("Content-Type"), Some("application/gzip"));
    assert_eq!(sibling.field("Content-Encoding"), None);
    let mut server = Server::with(&root, |options| options.content.precompressed = false);
    assert_eq!(server.get_with("/a.js", &["Accept-Encoding: br"]).text(), "plain");
}

#[test]
fn what_is_compressed_by_itself_says_so_and_has_no_siblings() {
    let root = Root::new(&[("a.svgz", "GZIP"), ("a.svgz.gz", "TWICE"), ("b.svg", "plain")]);
    let mut server = Server::new(&root);
    for accepted in ["gzip", "identity", "br"] {
        let answer = server.get_with("/a.svgz", &[&format!("Accept-Encoding: {accepted}")]);
        assert_eq!((answer.field("Content-Encoding"), answer.text()), (Some("gzip"), "GZIP"));
        assert_eq!(answer.field("Content-Type"), Some("image/svg+xml"));
        assert_eq!(answer.field("Vary"), None);
    }
    let part = server.get_with("/a.svgz", &["Range: bytes=1-2"]);
    assert_eq!(
        (part.status, part.field("Content-Encoding"), part.text()),
        (206, Some("gzip"), "ZI")
    );
    assert_eq!(server.get("/b.svg").field("Content-Encoding"), None);
}

#[test]
fn a_sibling_older_than_its_file_is_not_used() {
    let root = Root::new(&[("a.js", "new"), ("a.js.gz", "OLD")]);
    set_modified(&root, "a.js.gz", OLD);
    let answer = Server::new(&root).get_with("/a.js", &["Accept-Encoding: gzip"]);
    assert_eq!(answer.text(), "new");
}

#[test]
fn dates_outside_the_format_are_bounded() {
    let root = Root::new(&[("future", "x")]);
    set_modified(&root, "future", std::time::Duration::from_secs(300_000_000_000));
    let mut server = Server::new(&root);
    let modified = server.get("/future").field("Last-Modified").unwrap().to_owned();
    let modified = httpdate::parse_http_date(&modified).unwrap();
    assert!(modified <= std::time::SystemTime::now() + server.files.ahead);
}
