//! Attempts to reach files that must not be served, by both ways of opening.

use super::{Root, Server};
use crate::site::files::open::Method;

/// Runs `check` on a server of each kind. (Without openat2 the first is the same as the second.)
fn each(root: &Root, check: impl Fn(&mut Server)) {
    check(&mut Server::new(root));
    check(&mut Server::new(root).by(root, Method::Walk));
}

#[test]
fn no_spelling_of_dots_leaves_the_root() {
    let world = Root::new(&[("secret", "outside"), ("root/index.html", "inside")]);
    let root = world.path().join("root");
    for method in [Method::Kernel, Method::Walk] {
        let mut server = Server::with(&world, |options| options.content.root = Some(root.clone()));
        if method == Method::Walk {
            let opener = crate::site::files::open::Opener::with_method(&root, method).unwrap();
            server.files.root.set_opener(opener);
        }
        for target in [
            "/../secret",
            "/%2e%2e/secret",
            "/..%2fsecret",
            "/%2e%2e%2fsecret",
            "/x/../../secret",
            "/.%2e/secret",
            "/%252e%252e/secret",
            "/..%5csecret",
            "/....//secret",
            "//../secret",
            "/./.././secret",
            "/..;/secret",
            "/%c0%ae%c0%ae/secret",
            "/index.html/../../secret",
        ] {
            let answer = server.get(target);
            assert!(matches!(answer.status, 400 | 404), "{target}: {}", answer.status);
            assert!(!answer.text().contains("outside"), "{target}");
        }
    }
}

#[test]
fn links_that_lead_out_are_not_there() {
    let outside = Root::new(&[("secret", "outside"), ("index.html", "outside")]);
    let root = Root::new(&[("a.txt", "inside")]);
    root.link("secret", outside.path().join("secret"));
    root.link("etc", "/etc");
    root.link("out", outside.path());
    root.link("a.txt.gz", outside.path().join("secret"));
    root.link("404.html", outside.path().join("secret"));
    each(&root, |server| {
        for target in ["/secret", "/etc/passwd", "/etc/", "/etc", "/out/secret", "/out/", "/out"] {
            let answer = server.get(target);
            assert_eq!(answer.status, 404, "{target}");
            assert!(!answer.text().contains("outside"));
        }
        // Nor are they served as siblings of something inside.
        let answer = server.get_with("/a.txt", &["Accept-Encoding: gzip"]);
        assert_eq!((answer.text(), answer.field("Content-Encoding")), ("inside", None));
    });
}

#[test]
fn hidden_files_are_not_there_unless_asked_for() {
    let root = Root::new(&[(".env", "secret"), (".git/config", "secret"), ("a/.b/c", "secret")]);
    let targets = ["/.env", "/.git/config", "/a/.b/c", "/%2eenv", "/a/%2Eb/c"];
    each(&root, |server| {
        for target in targets {
            assert_eq!(server.get(target).status, 404, "{target}");
        }
    });
    let mut server = Server::with(&root, |options| options.content.dotfiles = true);
    for target in targets {
        assert_eq!(server.get(target).text(), "secret", "{target}");
    }
}

#[test]
fn nul_and_broken_escapes_are_bad_requests() {
    let root = Root::new(&[("index.html", "inside")]);
    each(&root, |server| {
        for target in ["/index.html%00.txt", "/%00", "/%zz", "/%"] {
            // The parser may refuse a broken escape itself; otherwise it is a 400 here.
            assert_eq!(server.get(target).status, 400, "{target}");
        }
    });
}

#[test]
fn what_may_not_be_read_is_forbidden_and_not_cached() {
    use std::os::unix::fs::PermissionsExt;
    let root = Root::new(&[("private", "secret")]);
    let path = root.path().join("private");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o000)).unwrap();
    if std::fs::File::open(&path).is_ok() {
        return; // root may open everything
    }
    each(&root, |server| assert_eq!(server.get("/private").status, 403));
}
