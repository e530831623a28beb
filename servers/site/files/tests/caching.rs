//! What is kept, for how long, and how much of it.

use std::fs;
use std::time::{Duration, SystemTime};

use super::{Root, Server, Stop, StopOnDrop};
use crate::app::Disk;
use crate::options::Options;
use crate::site::files::open::Method;

#[test]
fn a_change_shows_after_the_time_to_live_and_not_before() {
    let root = Root::new(&[("f", "one")]);
    let mut server = Server::new(&root);
    assert_eq!(server.get("/f").text(), "one");
    root.write("f", "two");
    server.pass_ms(999);
    assert_eq!(server.get("/f").text(), "one");
    server.pass_ms(1);
    assert_eq!(server.get("/f").text(), "two");
}

#[test]
fn replaced_and_removed_files_show_too() {
    let large = |fill: &str| fill.repeat(100_000);
    let root = Root::new(&[("f", "one"), ("large", &large("1"))]);
    let mut server = Server::new(&root);
    let before = server.get("/f").field("ETag").unwrap().to_owned();
    server.get("/large");
    for (name, contents) in [("f", "two".to_owned()), ("large", large("2"))] {
        root.write("new", contents);
        fs::rename(root.path().join("new"), root.path().join(name)).unwrap();
    }
    server.pass_ms(1000);
    let answer = server.get("/f");
    assert_eq!(answer.text(), "two");
    assert_ne!(answer.field("ETag"), Some(&*before));
    assert_eq!(server.get("/large").text(), large("2"));
    fs::remove_file(root.path().join("f")).unwrap();
    fs::remove_file(root.path().join("large")).unwrap();
    server.pass_ms(1000);
    assert_eq!((server.get("/f").status, server.get("/large").status), (404, 404));
    root.write("f", "three");
    assert_eq!(server.get("/f").text(), "three", "what is missing is not remembered");
}

#[test]
fn an_open_file_changed_in_place_is_seen_at_once() {
    let root = Root::new(&[("large", &"1".repeat(100_000))]);
    let mut server = Server::new(&root);
    let before = server.get("/large").field("ETag").unwrap().to_owned();
    root.write("large", "2".repeat(90_000));
    let answer = server.get("/large");
    answer.assert_length();
    assert_eq!(answer.body.len(), 90_000);
    assert_ne!(answer.field("ETag"), Some(&*before));
}

#[test]
fn last_modified_is_not_later_than_date_though_the_clock_is_set_back() {
    let root = Root::new(&[("small", "1"), ("large", &"1".repeat(100_000)), ("404.html", "none")]);
    let future = SystemTime::now() + Duration::from_secs(1000);
    for name in ["small", "large", "404.html"] {
        fs::File::open(root.path().join(name)).unwrap().set_modified(future).unwrap();
    }
    let mut server = Server::new(&root);
    for ahead_s in [5000, 2000, 100, 0] {
        server.files.ahead = Duration::from_secs(ahead_s);
        for target in ["/small", "/large"] {
            let answer = server.get(target);
            let date = |name| httpdate::parse_http_date(answer.field(name).unwrap()).unwrap();
            let now = date("Date") + server.files.ahead;
            assert!(date("Last-Modified") <= now, "{target}: {}", answer.head);
        }
        assert_eq!(server.get("/none").text(), "none");
    }
}

#[test]
fn a_warm_file_is_a_hit_however_its_path_is_spelt() {
    let root = Root::new(&[("a b/f", "hello")]);
    let mut server = Server::new(&root);
    server.get("/a%20b/f");
    for target in ["/a%20b/f", "/%61%20b/f", "//a%20b/./f", "/a%20b/f?q"] {
        let hits = server.hits();
        assert_eq!(server.get(target).text(), "hello");
        assert_eq!(server.hits(), hits + 1, "{target}");
    }
    let hits = server.hits();
    server.pass_ms(1000);
    server.get("/a%20b/f");
    assert_eq!(server.hits(), hits);
}

#[test]
fn an_escaped_escape_is_another_file() {
    let root = Root::new(&[("a%20b", "percent"), ("a b", "space")]);
    let mut server = Server::new(&root);
    for _ in 0..2 {
        assert_eq!(server.get("/a%2520b").text(), "percent");
        assert_eq!(server.get("/a%20b").text(), "space");
    }
}

#[test]
fn siblings_that_come_and_go_show() {
    let root = Root::new(&[("f", "plain")]);
    let mut server = Server::new(&root);
    let get = |server: &mut Server| {
        server.pass_ms(1000);
        let answer = server.get_with("/f", &["Accept-Encoding: br"]);
        (answer.text().to_owned(), answer.field("Vary").map(str::to_owned))
    };
    assert_eq!(get(&mut server), ("plain".into(), None));
    root.write("f.br", "small");
    assert_eq!(get(&mut server), ("small".into(), Some("Accept-Encoding".into())));
    fs::remove_file(root.path().join("f.br")).unwrap();
    assert_eq!(get(&mut server), ("plain".into(), None));
}

/// A time to live that outlasts any test: the handoff cache goes by the real clock.
const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn what_a_worker_has_read_is_in_the_loops_cache_when_it_is_next_asked_for() {
    let large = "x".repeat(70_000);
    let root = Root::new(&[("f", "one"), ("large", &large), ("404.html", "the page")]);
    // No file can be opened without waiting.
    let mut server =
        Server::with(&root, |options| options.content.cache_ttl = HOUR).by(&root, Method::Walk);
    server.files.disk = Disk::Avoid;
    let opens = |server: &Server| server.metrics.slot(0).unwrap().file_cold_opens.get();
    assert_eq!(server.get("/f").text(), "one");
    assert_eq!(opens(&server), 1);
    assert_eq!(server.get("/f").text(), "one");
    assert_eq!((opens(&server), server.hits()), (1, 1), "from the handoff cache");
    assert_eq!(server.get("/f").text(), "one");
    assert_eq!((opens(&server), server.hits()), (1, 2), "from the cache");
    server.pass_ms(HOUR.as_millis() as u64);
    root.write("f", "two");
    assert_eq!(server.get("/f").text(), "two");
    assert_eq!(opens(&server), 2, "it has to be opened again");
    for count in 3..5 {
        assert_eq!(server.get("/large").text(), large);
        assert_eq!(opens(&server), count, "the handoff cache keeps no open files");
    }
    assert_eq!(server.get("/nothing").text(), "the page");
    assert_eq!(server.get("/nothing").status, 404);
}

#[test]
fn the_shelf_is_bounded_and_gives_away_once() {
    let names: Vec<String> = (0..40).map(|i| format!("f{i}")).collect();
    let root = Root::new(&names.iter().map(|name| (&**name, "text")).collect::<Vec<_>>());
    let mut server =
        Server::with(&root, |options| options.content.cache_ttl = HOUR).by(&root, Method::Walk);
    server.files.disk = Disk::Avoid;
    for name in &names {
        assert_eq!(server.get(&format!("/{name}")).text(), "text");
    }
    let kept =
        |name: &&String| server.files.handoff.take(format!("/{name}").as_bytes(), 0).is_some();
    let kept: Vec<_> = names.iter().filter(kept).collect();
    assert_eq!(kept, names[names.len() - 16..].iter().collect::<Vec<_>>());
    assert!(server.files.handoff.take(b"/f39", 0).is_none());
}

/// A worker may have begun before the root was switched, and be done after the caches' end.
#[test]
fn what_was_read_from_another_root_is_not_taken() {
    let root = Root::new(&[("f", "of the old root")]);
    let mut server =
        Server::with(&root, |options| options.content.cache_ttl = HOUR).by(&root, Method::Walk);
    server.files.disk = Disk::Avoid;
    for (generation, is_taken) in [(1, false), (0, true)] {
        assert_eq!(server.get("/f").text(), "of the old root");
        assert_eq!(server.files.handoff.take(b"/f", generation).is_some(), is_taken);
    }
}

/// Descriptors of this process that stand for files beneath `root`.
#[cfg(target_os = "linux")]
fn open_files(root: &Root) -> usize {
    let descriptors = fs::read_dir("/proc/self/fd").unwrap();
    let targets = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    targets.filter(|target| target.starts_with(root.path()) && target != root.path()).count()
}

#[test]
#[cfg(target_os = "linux")]
fn open_files_are_bounded() {
    let root = Root::new(&[]);
    let mut server = Server::with(&root, |options| options.content.cache_files = 5);
    for round in 0..40 {
        let name = format!("f{}", round % 13);
        root.write(&name, "x".repeat(70_000));
        assert_eq!(server.get(&format!("/{name}")).body.len(), 70_000);
        assert!(open_files(&root) <= 5);
    }
    assert_eq!(open_files(&root), 5);
    drop(server);
    assert_eq!(open_files(&root), 0);
}

#[test]
fn contents_are_bounded_and_what_is_used_stays() {
    let root = Root::new(&[("used", "hello")]);
    let mut server = Server::with(&root, |options| options.content.cache_bytes = 400_000);
    server.get("/used");
    for index in 0..100 {
        root.write(&format!("f{index}"), "x".repeat(10_000));
        assert_eq!(server.get(&format!("/f{index}")).body.len(), 10_000);
        let hits = server.hits();
        server.get("/used");
        assert_eq!(server.hits(), hits + 1, "evicted after {index}");
    }
    let hits = server.hits();
    server.get("/f0");
    assert_eq!(server.hits(), hits, "a hundred times 10 kB do not fit into 400");
}

#[test]
fn without_a_cache_everything_works_as_well() {
    let root = Root::new(&[("small", "hello"), ("large", &"x".repeat(100_000))]);
    let no_caches: [fn(&mut Options); 3] = [
        |options| options.content.cache_bytes = 0,
        |options| options.content.cache_files = 0,
        |options| options.content.cache_ttl = std::time::Duration::ZERO,
    ];
    for choose in no_caches {
        let mut server = Server::with(&root, choose);
        for _ in 0..2 {
            assert_eq!(server.get("/small").text(), "hello");
            assert_eq!(server.get("/large").body.len(), 100_000);
            assert_eq!(server.get_with("/large", &["Range: bytes=-5"]).text(), "xxxxx");
        }
    }
}

#[test]
fn an_open_file_that_is_removed_is_gone_at_once() {
    let root = Root::new(&[("large", &"x".repeat(100_000))]);
    let mut server = Server::new(&root);
    server.get("/large");
    // Unlinking changes the inode's times, so that its tag is no longer right.
    fs::remove_file(root.path().join("large")).unwrap();
    assert_eq!(server.get("/large").status, 404);
}

#[test]
fn a_file_replaced_again_and_again_is_one_or_the_other() {
    let root = Root::new(&[("f", "1")]);
    let mut server =
        Server::with(&root, |options| options.content.cache_ttl = std::time::Duration::ZERO);
    let stop = Stop::default();
    std::thread::scope(|scope| {
        let _stop = StopOnDrop(&stop);
        scope.spawn(|| {
            let versions = ["1".to_owned(), "2".repeat(5_000), "3".repeat(100_000)];
            for version in versions.iter().cycle() {
                root.write("new", version);
                fs::rename(root.path().join("new"), root.path().join("f")).unwrap();
                if stop.is_set() {
                    break;
                }
            }
        });
        for _ in 0..1_000 {
            let answer = server.get("/f");
            answer.assert_length();
            assert!(answer.body.iter().all(|byte| *byte == answer.body[0]));
            assert!(matches!(
                (answer.body[0], answer.body.len()),
                (b'1', 1) | (b'2', 5_000) | (b'3', 100_000)
            ));
        }
    });
}
