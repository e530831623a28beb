//! Both openers, compared with each other: they find the same files, refuse the same paths, and
//! never open anything outside.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::{Root, Stop, StopOnDrop};
use crate::app::Disk;
use crate::site::files::look::{Place, look};
use crate::site::files::open::{Method, OpenError, Opener};

/// The openers that this kernel allows; the walk always.
fn openers(root: &Path) -> Vec<Opener> {
    let walk = Opener::with_method(root, Method::Walk).unwrap();
    let first = Opener::new(root).unwrap();
    match first.method() {
        Method::Kernel => vec![first, walk],
        Method::Walk => vec![walk],
    }
}

/// The first bytes of what is opened at `path`.
fn contents(opener: &Opener, path: &str) -> Result<String, OpenError> {
    let mut text = String::new();
    let mut file = opener.open(path.as_bytes())?;
    file.read_to_string(&mut text).map_err(|_| OpenError::Failed)?;
    Ok(text)
}

/// A root with an inside and, beside it, an outside.
fn world() -> (Root, std::path::PathBuf) {
    let world = Root::new(&[("root/a/b/file", "inside"), ("outside/file", "outside")]);
    let root = world.path().join("root");
    world.link("root/relative", "a/b/file");
    world.link("root/a/up", "../a/b");
    world.link("root/a/b/top", "../../a/b/file");
    world.link("root/chain", "relative");
    world.link("root/slash", "a/b/");
    world.link("root/dot", ".");
    world.link("root/absolute", root.join("a/b/file"));
    world.link("root/etc", "/etc/passwd");
    world.link("root/out", "../outside/file");
    world.link("root/out-dir", "../outside");
    world.link("root/out-and-in", "../root/a/b/file");
    world.link("root/a/b/too-far", "../../../outside/file");
    world.link("root/proc", "/proc/self/root/etc/passwd");
    world.link("root/loop", "loop");
    world.link("root/ping", "pong");
    world.link("root/pong", "ping");
    world.link("root/dangling", "a/nothing");
    (world, root)
}

#[test]
fn what_is_inside_is_found_through_links_too() {
    let (_world, root) = world();
    for opener in openers(&root) {
        for path in [
            "a/b/file",
            "relative",
            "chain",
            "a/up/file",
            "a/b/top",
            "slash/file",
            "dot/dot/relative",
            "a/../a/./b//file",
        ] {
            let found = contents(&opener, path);
            assert_eq!(found.as_deref(), Ok("inside"), "{path} by {:?}", opener.method());
        }
        for path in ["", "a", "a/", "slash", "dot", "a/up", "a/..", "a/b/.."] {
            let found = look(&opener, path.as_bytes(), Disk::Wait);
            assert!(matches!(found, Ok(Place::Directory)), "{path} by {:?}", opener.method());
        }
    }
}

#[test]
fn what_leads_outside_is_not_found() {
    let (_world, root) = world();
    for opener in openers(&root) {
        for path in [
            "absolute",
            "etc",
            "out",
            "out-dir",
            "out-dir/file",
            "out-and-in",
            "a/b/too-far",
            "proc",
            "..",
            "../outside/file",
            "a/../../outside/file",
            "/etc/passwd",
            "dot/../../outside/file",
            "loop",
            "ping",
            "dangling",
            "a/b/file/",
            "a/b/file/x",
            "a/b/nothing",
            "relative/",
        ] {
            let found = contents(&opener, path);
            assert_eq!(found, Err(OpenError::NotFound), "{path} by {:?}", opener.method());
        }
    }
}

#[test]
fn names_too_long_or_with_nul_are_not_found() {
    let (_world, root) = world();
    for opener in openers(&root) {
        let long = "x".repeat(300);
        let deep = "a/../".repeat(2000) + "relative";
        for path in [&*long, &*deep, "a\0b"] {
            assert_eq!(contents(&opener, path), Err(OpenError::NotFound));
        }
    }
}

#[test]
fn what_is_no_file_is_refused_and_never_waited_for() {
    let root = Root::new(&[]);
    let fifo = Command::new("mkfifo").arg(root.path().join("fifo")).status().unwrap();
    assert!(fifo.success());
    let _socket = UnixListener::bind(root.path().join("socket")).unwrap();
    root.link("fifo-link", "fifo");
    // 1, 3 is /dev/null; only root may make one, so it may fail and not be there.
    let device = root.path().join("device");
    Command::new("mknod").arg(device).args(["c", "1", "3"]).stderr(Stdio::null()).status().ok();
    for opener in openers(root.path()) {
        for path in ["fifo", "fifo-link", "socket", "device"] {
            let found = look(&opener, path.as_bytes(), Disk::Wait).map(|_| ());
            // A container may forbid opening any device.
            assert!(
                matches!(found, Err(OpenError::NotFound | OpenError::Forbidden)),
                "{path} by {:?}",
                opener.method()
            );
        }
    }
}

#[test]
fn a_name_that_changes_hands_never_shows_the_outside() {
    let (world, root) = world();
    fs::create_dir(root.join("swap")).unwrap();
    fs::write(root.join("swap/file"), "inside").unwrap();
    world.link("root/swap-link", "../outside");
    let stop = Stop::default();
    std::thread::scope(|scope| {
        let _stop = StopOnDrop(&stop);
        scope.spawn(|| {
            while !stop.is_set() {
                for (from, to) in [
                    ("swap", "swap-dir"),
                    ("swap-link", "swap"),
                    ("swap", "swap-link"),
                    ("swap-dir", "swap"),
                ] {
                    fs::rename(root.join(from), root.join(to)).unwrap();
                }
            }
        });
        for opener in openers(&root) {
            for _ in 0..5_000 {
                match contents(&opener, "swap/file") {
                    Ok(text) => assert_eq!(text, "inside"),
                    Err(error) => assert!(matches!(error, OpenError::NotFound | OpenError::Busy)),
                }
            }
        }
    });
}

/// Names that a path or a link is made of.
fn path() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just(".."),
        Just("."),
        Just("a"),
        Just("b"),
        Just("c"),
        Just("l"),
        Just("m"),
        Just("")
    ];
    proptest::collection::vec(name, 0..6).prop_map(|names| names.join("/"))
}

/// A tree with links `l` and `m` of these texts in every directory.
fn tree(links: &[String]) -> Root {
    let root =
        Root::new(&[("root/a/b/c", "1"), ("root/a/c", "2"), ("root/c", "3"), ("c", "outside")]);
    let directories = ["root", "root/a", "root/a/b"];
    for (index, text) in links.iter().enumerate().filter(|(_, text)| !text.is_empty()) {
        let name = ["l", "m"][index % 2];
        root.link(&format!("{}/{name}", directories[index / 2]), text);
    }
    root
}

#[test]
fn what_was_just_opened_is_found_in_memory_where_the_kernel_can_be_asked() {
    let root = Root::new(&[("a/f", "inside")]);
    for opener in openers(root.path()) {
        opener.open(b"a/f").unwrap();
        let cached = opener.open_cached(b"a/f").map(|_| ());
        match opener.method() {
            Method::Kernel => assert!(matches!(cached, Ok(()) | Err(OpenError::Cold))),
            Method::Walk => assert_eq!(cached, Err(OpenError::Cold)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_walk_agrees_with_the_kernel(
        links in proptest::collection::vec(path(), 6),
        paths in proptest::collection::vec(path(), 8),
    ) {
        let world = tree(&links);
        let openers = openers(&world.path().join("root"));
        let identity = |file: File| file.metadata().map(|it| (it.dev(), it.ino())).unwrap();
        let outside = identity(File::open(world.path().join("c")).unwrap());
        for path in paths {
            let found: Vec<_> =
                openers.iter().map(|opener| opener.open(path.as_bytes()).map(identity)).collect();
            prop_assert!(found.iter().all(|it| *it == found[0]), "{path}: {found:?}");
            prop_assert!(found.iter().all(|it| *it != Ok(outside)), "{path} led outside");
            for opener in &openers {
                let cached = opener.open_cached(path.as_bytes()).map(identity);
                let agrees = cached == found[0] || cached == Err(OpenError::Cold);
                prop_assert!(agrees, "{path}: {cached:?} and {found:?}");
            }
        }
    }
}
