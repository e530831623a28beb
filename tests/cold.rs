//! AMPED: files that are not in the page cache are read by workers; the loop never waits for a
//! disk.
//!
//! Files are evicted with posix_fadvise(2). Where the kernel does not drop them (a tmpfs), the
//! tests that need it report on standard error that they were skipped.
//!
//! The page cache is up to the kernel, though, and every process of the machine affects it: a cold
//! page may be there when it is read, a warm one may be gone. The bytes must be right each time;
//! whether a worker was needed must come out as expected within [`TRIES`].

#![cfg(target_os = "linux")]

mod common;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stampede::models;
use stampede::site::Site;
use stampede::{Action, App, Request, Response, Status};

use common::inside::Inside;
use common::stubborn::{Gate, Stubborn};
use common::{Client, Server, get, noise, os, request, until};

/// Several windows, and not a whole number of them.
const LEN: usize = 3 * 1024 * 1024 + 12_345;

/// How often a file is evicted, or warmed, before an unexpected result is the server's fault.
///
/// A read that does not wait makes the kernel start fetching the missing pages; if the disk is
/// quick, or the thread is preempted at that moment, the page is there before the call looks again,
/// and it succeeds. Measured for a single page: once in 600 times on an idle machine, once in 130
/// beside processes that write and read. So ten times in a row is a fault.
const TRIES: usize = 10;

/// Tries until the kernel has behaved as the test assumes, which `attempt` reports.
#[track_caller]
fn within_tries(what: &str, attempt: impl FnMut(usize) -> bool) {
    assert!((0..TRIES).any(attempt), "not once in {TRIES} times: {what}");
}

/// A directory with a file in it that is on a disk, as far as one can choose.
struct Disk {
    folder: tempfile::TempDir,
    bytes: Vec<u8>,
}

impl Disk {
    fn new() -> Self {
        Disk::with(LEN)
    }

    fn with(len: usize) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let bytes = noise(len, 42);
        fs::write(folder.path().join("file"), &bytes).expect("a file");
        Disk { folder, bytes }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn file(&self) -> File {
        File::options().read(true).write(true).open(self.path().join("file")).expect("the file")
    }

    fn chill(&self, test: &str) -> bool {
        chill_file(&self.path().join("file"), test)
    }

    fn serve(&self, model: &str, arguments: &[&str]) -> Server {
        let mut command = match model {
            "amped" => common::server::amped(),
            _ => common::server::sped(),
        };
        command.args(["--listen", "127.0.0.1:0", "--root"]).arg(self.path()).args(arguments);
        Server::spawn(command)
    }
}

/// Evicts a file from the page cache. `false`, and a line about it, where that fails: then there is
/// nothing to test here.
fn chill_file(path: &Path, test: &str) -> bool {
    let file = File::open(path).expect("the file");
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        os::forget_pages(&file);
        let left = os::pages_in_memory(&file);
        if left == 0 {
            return true;
        }
        if Instant::now() > end {
            let line = format!(
                "SKIPPED: {test}: the kernel keeps {left} pages of {}; \
                 set CARGO_TARGET_DIR to a directory on a disk\n",
                path.display()
            );
            // Not by `eprintln`, which is not shown for a passing test.
            std::io::stderr().write_all(line.as_bytes()).expect("standard error");
            return false;
        }
        std::thread::sleep(Duration::from_millis(20)); // until others have let go of its pages
    }
}

#[test]
fn a_cold_file_is_read_by_workers_and_arrives_whole() {
    for argument in ["--sendfile", "--no-sendfile"] {
        let disk = Disk::new();
        let server = disk.serve("amped", &["--workers", "2", argument]);
        if !disk.chill("a cold file") {
            return;
        }
        let answer = server.get("/file");
        assert_eq!(answer.status, 200, "{argument}");
        assert!(answer.body == disk.bytes, "{argument}: other bytes");
        assert!(server.metric("file_fills_total") > 0, "{argument}");
        let bytes = server.metric("file_fill_bytes_total");
        assert!(bytes > 0 && bytes <= LEN as u64, "{argument}: {bytes}");
    }
}

#[test]
fn a_cached_file_needs_no_worker() {
    let disk = Disk::new();
    let server = disk.serve("amped", &[]);
    within_tries("a file that stays in memory and costs no worker", |_| {
        let fills = server.metric("file_fills_total");
        for _ in 0..5 {
            assert!(server.get("/file").body == disk.bytes);
        }
        server.metric("file_fills_total") == fills
    });
}

#[test]
fn ranges_of_a_cold_file_arrive_byte_for_byte() {
    let disk = Disk::new();
    let server = disk.serve("amped", &[]);
    let window = 256 * 1024;
    let end = LEN - 1;
    for (first, last) in [
        (0, 0),
        (window - 1, window),
        (window, 2 * window - 1),
        (window + 1, 3 * window + 1),
        (end, end),
        (0, end),
        (LEN - window - 7, end),
    ] {
        let range = format!("Range: bytes={first}-{last}");
        let mut chilled = true;
        within_tries(&format!("a worker reads {range}"), |_| {
            chilled = disk.chill("cold ranges");
            let fills = server.metric("file_fills_total");
            let answer = server.exchange(&request("GET", "/file", &[&range]));
            assert_eq!(answer.status, 206, "{range}");
            assert!(answer.body == disk.bytes[first..=last], "{range}: other bytes");
            !chilled || server.metric("file_fills_total") > fills
        });
        if !chilled {
            return;
        }
    }
}

#[test]
fn several_ranges_of_one_file_are_read_by_workers() {
    let disk = Disk::new();
    let server = disk.serve("amped", &[]);
    if !disk.chill("several cold ranges") {
        return;
    }
    let (first, second) = (100..700_000, 2_000_000..LEN);
    let ranges = format!("Range: bytes=100-699999,2000000-{}", LEN - 1);
    let mut client = server.connect();
    // Pipelined, so that the next buffer does not get what this one held.
    client.send(&[request("GET", "/file", &[&ranges]), get("/file")].concat());
    let answer = client.response();
    assert_eq!(answer.status, 206);
    for range in [first, second] {
        let part = &disk.bytes[range.clone()];
        let at = answer.body.windows(64).position(|bytes| *bytes == part[..64]);
        let at = at.expect("the part's beginning");
        assert!(answer.body[at..at + part.len()] == *part, "{range:?}: other bytes");
    }
    assert!(client.response().body == disk.bytes);
    // A buffer each time, and not a byte by the loop.
    assert!(server.metric("file_fills_total") > 10);
}

/// A connection whose first response begins with a worker's read was watched for requests only:
/// once its socket was full, it was never reported writable again, until its write timeout.
#[test]
fn a_reader_slower_than_the_disk_gets_all_of_a_cold_file() {
    // More than the kernel buffers for a socket.
    let disk = Disk::with(16 << 20);
    // Accepted when its request is there, so that both happen in one turn.
    let server = disk.serve("amped", &["--write-timeout", "1h", "--defer-accept", "1s"]);
    // Looks its name up in advance: else a worker would be needed for that already.
    assert_eq!(server.get("/file").status, 200);
    if !disk.chill("a slow reader") {
        return;
    }
    let mut client = Client::connect_with_window(server.address(), 4096);
    client.send(&get("/file"));
    server.until_metric_above("file_fills_total", 0);
    until("its socket is filled", || server.metric("bytes_sent_total") > 100_000);
    assert!(client.response().body == disk.bytes);
}

#[test]
fn many_clients_of_one_cold_file_get_all_of_it() {
    let disk = Disk::new();
    let server = disk.serve("amped", &["--workers", "2", "--ring", "1"]);
    if !disk.chill("many clients of a cold file") {
        return;
    }
    let mut clients: Vec<Client> = (0..20).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(&[get("/file"), get("/file")].concat());
    }
    for client in &mut clients {
        assert!(client.response().body == disk.bytes);
        assert!(client.response().body == disk.bytes);
    }
}

/// Bytes that a thread has caused to be fetched from a disk: `proc_pid_io(5)`.
fn read_from_disk(pid: u32, thread: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{thread}/io")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("read_bytes: "))?.parse().ok()
}

#[test]
fn the_loops_thread_reads_next_to_nothing_from_the_disk() {
    let disk = Disk::new();
    let server = disk.serve("amped", &[]);
    let of_loop = || read_from_disk(server.pid(), &server.pid().to_string());
    if !disk.chill("who reads from the disk") {
        return;
    }
    let before = of_loop().expect("a kernel that counts a task's I/O");
    assert!(server.get("/file").body == disk.bytes);
    let read = of_loop().expect("as before") - before;
    // Asking for a byte that is not there makes the kernel start reading its page.
    assert!(read <= LEN as u64 / 16, "the loop has read {read} bytes of {LEN}");
}

#[test]
fn sped_reads_files_itself_and_serves_the_same() {
    let disk = Disk::new();
    let server = disk.serve("sped", &[]);
    disk.chill("sped's answer is the same");
    assert!(server.get("/file").body == disk.bytes);
    assert_eq!(server.metric("file_fills_total"), 0);
}

/// Beside the large one, a file that fits into the loop's cache.
fn write_small(disk: &Disk, name: &str) -> Vec<u8> {
    let bytes = noise(20_000, 7);
    fs::write(disk.path().join(name), &bytes).expect("a file");
    bytes
}

#[test]
fn a_small_cold_file_is_read_by_a_worker_and_then_kept_by_the_loop() {
    let disk = Disk::new();
    let server = disk.serve("amped", &["--cache-ttl", "1h", "--no-precompressed"]);
    within_tries("a small file that the loop finds cold", |number| {
        // The loop keeps what it has cached: another file each time.
        let name = format!("small{number}");
        let (target, small) = (format!("/{name}"), write_small(&disk, &name));
        if !chill_file(&disk.path().join(name), "a small cold file") {
            return true;
        }
        let opens = server.metric("file_cold_opens_total");
        assert_eq!(server.get(&target).body, small);
        if server.metric("file_cold_opens_total") == opens {
            return false;
        }
        assert_eq!(server.get(&target).body, small);
        let hits = server.metric("file_cache_hits_total");
        assert_eq!(server.get(&target).body, small);
        assert_eq!(server.metric("file_cache_hits_total"), hits + 1);
        assert_eq!(server.metric("file_cold_opens_total"), opens + 1);
        assert_eq!(server.metric("file_fills_total"), 0);
        true
    });
}

#[test]
fn names_not_in_the_kernels_cache_are_looked_up_by_a_worker_once() {
    let disk = Disk::new();
    fs::write(disk.path().join("404.html"), "the page").expect("a file");
    let server = disk.serve("amped", &["--cache-ttl", "0s"]);
    for round in 0..2 {
        // The first time it has to be looked up on the disk, and its compressed siblings, too.
        for (target, status) in [("/nowhere", 404), ("/file", 200), ("/nowhere/", 404)] {
            let answer = server.get(target);
            assert_eq!(answer.status, status, "{target} in round {round}");
            assert!(status == 200 || answer.text() == "the page", "{target}: {answer:?}");
        }
    }
    let opens = server.metric("file_cold_opens_total");
    assert!(opens >= 2, "{opens}");
    within_tries("names that stay in memory and cost no worker", |_| {
        let opens = server.metric("file_cold_opens_total");
        for _ in 0..20 {
            assert_eq!((server.get("/nowhere").status, server.get("/file").status), (404, 200));
        }
        server.metric("file_cold_opens_total") == opens
    });
}

#[test]
fn sped_opens_everything_itself() {
    let disk = Disk::new();
    let server = disk.serve("sped", &[]);
    assert_eq!((server.get("/nowhere").status, server.get("/file").status), (404, 200));
    assert_eq!(server.metric("file_cold_opens_total"), 0);
}

/// [`Stubborn`], and some files: `/file?0` is the first.
struct Library {
    stubborn: Stubborn,
    files: Vec<(Arc<File>, u64)>,
}

impl App for Library {
    type Local = ();

    fn local(&self, _index: usize) {}

    fn handle(&self, local: &mut (), request: &Request<'_>, response: &mut Response<'_>) -> Action {
        if request.path() != b"/file" {
            return self.stubborn.handle(local, request, response);
        }
        let (file, len) = &self.files[usize::from(request.target()[6] - b'0')];
        response.start(Status::OK).file(Arc::clone(file), 0, *len);
        Action::Done
    }

    fn work(&self, request: &Request<'_>, response: &mut Response<'_>) {
        self.stubborn.work(request, response);
    }
}

/// A server whose one worker is busy until the gate opens, and the client that it is busy for.
fn busy_library(files: Vec<(Arc<File>, u64)>, arguments: &[&str]) -> (Inside, Gate, Client) {
    let gate = Gate::default();
    let library = Library { stubborn: Stubborn(gate.clone()), files };
    let arguments = [&["--workers", "1"], arguments].concat();
    let server = Inside::start("amped", library, &arguments);
    let mut client = server.connect();
    client.send(&get("/block"));
    gate.until_waiting(1);
    (server, gate, client)
}

/// Descriptors of this process that refer to a file.
fn descriptors_of(path: &Path) -> usize {
    let links = fs::read_dir("/proc/self/fd").expect("our descriptors");
    let links = links.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    links.filter(|link| link.starts_with(path)).count()
}

#[test]
fn a_client_that_disconnects_during_a_worker_read_leaks_nothing() {
    let disk = Disk::new();
    let folder = fs::canonicalize(disk.path()).expect("its own name");
    let text = folder.to_str().expect("UTF-8");
    // Nothing is kept open.
    let (server, gate, mut busy) = busy_site(text, &["--cache-ttl", "0s"]);
    if !disk.chill("clients that go") {
        return;
    }
    let fills = server.counter("file_fills");
    let mut client = server.connect();
    client.send(&get("/file"));
    until("it is a worker's turn", || server.counter("file_fills") == fills + 1);
    client.reset();
    server.until_counter("connections_open", 1);
    gate.open();
    assert_eq!(busy.response().status, 200);
    until("nothing of the file is open", || descriptors_of(&folder) == 1); // the root
    server.until_counter("buffers_large_used", 2);
    until("no job is in flight", || server.metrics.workers().all(|place| place.jobs.get() == 0));
    assert!(server.connect().get("/file").body == disk.bytes);
}

/// A server of the files in a directory, whose one worker is busy until the gate opens, and the
/// client that it is busy for.
fn busy_site(folder: &str, arguments: &[&str]) -> (Inside, Gate, Client) {
    let gate = Gate::default();
    let arguments = [&["--workers", "1", "--root", folder], arguments].concat();
    let server = Inside::start_with("amped", &arguments, |options, metrics| {
        let info = models::by_name::<Site>("amped").expect("it").info;
        let site = Site::new(options, metrics.clone(), info.into()).expect("a site");
        Blocked { site, stubborn: Stubborn(gate.clone()) }
    });
    // Every name is looked up now.
    for name in ["/file", "/small", "/hot"] {
        server.connect().get(name);
    }
    let mut busy = server.connect();
    busy.send(&get("/block"));
    gate.until_waiting(1);
    (server, gate, busy)
}

/// A site beside work that finishes when the test lets it.
struct Blocked {
    site: Site,
    stubborn: Stubborn,
}

impl App for Blocked {
    type Local = <Site as App>::Local;

    fn local(&self, index: usize) -> Self::Local {
        self.site.local(index)
    }

    fn handle(
        &self,
        local: &mut Self::Local,
        request: &Request<'_>,
        response: &mut Response<'_>,
    ) -> Action {
        match request.path() {
            b"/block" => Action::Work,
            _ => self.site.handle(local, request, response),
        }
    }

    fn work(&self, request: &Request<'_>, response: &mut Response<'_>) {
        match request.path() {
            b"/block" => self.stubborn.work(request, response),
            _ => self.site.work(request, response),
        }
    }
}

#[test]
fn while_the_workers_are_busy_the_loop_serves_what_is_in_memory_and_opens_nothing_cold() {
    let disk = Disk::new();
    fs::write(disk.path().join("hot"), "in memory").expect("a file");
    let small = write_small(&disk, "small");
    let folder = disk.path().to_str().expect("UTF-8");
    let (server, gate, mut busy) = busy_site(folder, &["--cache-ttl", "0s"]);
    let mut client = server.connect();
    let mut chilled = true;
    within_tries("a small file that the loop finds cold", |_| {
        // Written each time: if the loop has it in its cache, that is an older one.
        assert_eq!(write_small(&disk, "small"), small);
        chilled = chill_file(&disk.path().join("small"), "a cold file behind busy workers");
        if !chilled {
            return true;
        }
        let opens = server.counter("file_cold_opens");
        // Pipelined: the second waits for the first.
        client.send(&[get("/small"), get("/hot")].concat());
        let found_cold = || server.counter("file_cold_opens") > opens;
        until("it is a worker's turn, or none is needed", || found_cold() || client.has_answer());
        if !found_cold() {
            assert_eq!((client.response().body, client.response().status), (small.clone(), 200));
        }
        found_cold()
    });
    if !chilled {
        return;
    }
    for _ in 0..10 {
        assert_eq!(server.connect().get("/hot").text(), "in memory");
    }
    assert!(!client.has_answer());
    gate.open();
    assert_eq!(client.response().body, small);
    assert_eq!(client.response().text(), "in memory");
    assert_eq!(busy.response().status, 200);
}

#[test]
fn a_file_that_shrinks_during_a_worker_read_truncates_the_response() {
    for left in [0, 100_000, 300_000] {
        let disk = Disk::new();
        let file = disk.file();
        let (server, gate, _busy) = busy_library(vec![(Arc::new(disk.file()), LEN as u64)], &[]);
        if !disk.chill("a file that shrinks") {
            return;
        }
        let mut client = server.connect();
        client.send(&get("/file?0"));
        server.until_counter("file_fills", 1);
        file.set_len(left).expect("a shorter file");
        gate.open();
        let head = client.read_head().expect("a head");
        assert_eq!(head.field("Content-Length"), Some(&*LEN.to_string()));
        let body = client.read_to_end().expect("FIN");
        assert!(body == disk.bytes[..left as usize], "{left}: {} bytes", body.len());
        server.until_counter("responses_aborted", 1);
        server.until_counter("connections_open", 1);
    }
}

#[test]
fn a_read_error_ends_only_its_own_connection() {
    // Its first page is not mapped: EIO.
    let unreadable = Arc::new(File::open("/proc/self/mem").expect("our memory"));
    let (server, gate, mut busy) = busy_library(vec![(unreadable, 4096)], &[]);
    gate.open();
    assert_eq!(busy.response().status, 200);
    let mut client = server.connect();
    client.send(&get("/file?0"));
    assert_eq!(client.read_head().expect("a head").status, 200);
    client.expect_close();
    assert_eq!(server.counter("responses_aborted"), 1);
    assert_eq!(busy.get("/light").status, 200);
}

#[test]
fn a_file_the_kernel_cannot_report_as_cached_is_read_by_a_worker() {
    // In /proc nothing is in the page cache, and preadv2(2) knows no RWF_NOWAIT.
    let (path, version) = ("/proc/version", fs::read("/proc/version").expect("it"));
    let file = Arc::new(File::open(path).expect("it"));
    for argument in ["--sendfile", "--no-sendfile"] {
        let files = vec![(Arc::clone(&file), version.len() as u64)];
        let (server, gate, mut busy) = busy_library(files, &[argument]);
        gate.open();
        assert_eq!(busy.response().status, 200);
        assert_eq!(server.connect().get("/file?0").body, version, "{argument}");
        assert_eq!(server.counter("file_fills"), 1, "{argument}");
    }
}

#[test]
fn a_window_waits_for_room_in_the_rings_and_is_never_refused() {
    for overload in ["wait", "reject"] {
        let disk = Disk::new();
        let files = vec![(Arc::new(disk.file()), LEN as u64)];
        let (server, gate, mut busy) =
            busy_library(files, &["--ring", "1", "--overload", overload]);
        if !disk.chill("a window that waits") {
            return;
        }
        let mut queued = server.connect();
        queued.send(&get("/work?queued"));
        until("it is queued", || server.metrics.workers().all(|place| place.jobs.get() == 2));
        let mut client = server.connect();
        client.send(&get("/file?0"));
        server.until_counter("jobs_delayed", 1);
        assert_eq!(server.connect().get("/light").status, 200, "the loop keeps serving");
        gate.open();
        assert!(client.response().body == disk.bytes, "{overload}");
        assert_eq!((busy.response().status, queued.response().status), (200, 200));
        assert_eq!(server.counter("jobs_rejected"), 0);
    }
}
