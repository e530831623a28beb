//! A warm server allocates nothing for a request: counted by the allocator of a process that
//! serves.
//!
//! The servers run on threads of this test's own process, because only there can their allocations
//! be distinguished from others.
//!
//! One case does allocate: a request to be offloaded while an earlier response waits for its
//! socket, because its bytes are saved. How much a socket takes is up to the kernel: usually
//! megabytes, but about one page where memory is short (in a container, page cache filled by other
//! processes counts). A few small responses fit even into that, and a client that reads them before
//! its next request acknowledges them with it. Hence [`IN_FLIGHT_MAX`].

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use stampede::models;
use stampede::site::Site;
use stampede::{Action, App, BodyPlan, Request, Response, Status};

use common::inside::Inside;
use common::{Client, get, request};

/// Responses that the server sends one by one before the client has taken any: a socket's minimum
/// memory has room for that many (4.5 KiB on Linux), with the kernel's overhead of 1 KiB each.
const IN_FLIGHT_MAX: usize = 3;

/// Allocations on serving threads.
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Whether this thread serves. A constant without a destructor: reading it allocates nothing.
    static SERVES: Cell<bool> = const { Cell::new(false) };
}

struct Counting;

fn note() {
    if SERVES.get() {
        ALLOCATIONS.fetch_add(1, Relaxed);
    }
}

// SAFETY: every call is forwarded unchanged to the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller keeps `alloc`'s contract, which is the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: `block` came from the system's allocator, with this layout.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        // SAFETY: `block` came from the system's allocator, with this layout.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The site, on threads that count; and work that allocates nothing itself.
struct Counted(Site);

impl App for Counted {
    type Local = <Site as App>::Local;

    fn local(&self, index: usize) -> Self::Local {
        let local = self.0.local(index);
        SERVES.set(true);
        local
    }

    fn body(&self, local: &mut Self::Local, request: &Request<'_>) -> BodyPlan {
        self.0.body(local, request)
    }

    fn handle(
        &self,
        local: &mut Self::Local,
        request: &Request<'_>,
        response: &mut Response<'_>,
    ) -> Action {
        match request.path() {
            b"/worked" => Action::Work,
            _ => self.0.handle(local, request, response),
        }
    }

    fn work(&self, _: &Request<'_>, response: &mut Response<'_>) {
        response.start(Status::OK).field("Content-Type", "text/plain").bytes(b"done");
    }
}

/// Serves `root` on threads of this process.
fn serve(model: &str, root: &Path, arguments: &[&str]) -> Inside {
    let root = root.to_str().expect("UTF-8");
    let arguments = [&["--demo", "--root", root, "--cache-ttl", "1h"], arguments].concat();
    Inside::start_with(model, &arguments, |options, metrics| {
        let info = models::by_name::<Site>(model).expect("a model").info;
        Counted(Site::new(options, metrics.clone(), info.into()).expect("a site"))
    })
}

/// Allocations during this many more of the same request, after as many to warm up.
fn allocations_of(client: &mut Client, request: &[u8], answers: usize) -> u64 {
    const ROUNDS: usize = 500;
    let mut run = || {
        for _ in 0..ROUNDS {
            client.send(request);
            for _ in 0..answers {
                let answer = client.response();
                assert!(matches!(answer.status, 200 | 206 | 304), "{answer:?}");
            }
        }
    };
    run();
    let before = ALLOCATIONS.load(Relaxed);
    run();
    ALLOCATIONS.load(Relaxed) - before
}

/// Checks everything that must not allocate.
fn check(server: &Inside, name: &str) {
    let mut client = server.connect();
    let browser = [
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101",
        "Accept: text/html,application/xhtml+xml,*/*;q=0.8",
        "Accept-Language: en-US,en;q=0.5",
        "Accept-Encoding: gzip, deflate, br, zstd",
        "Connection: keep-alive",
    ];
    // The loop's own response before the work, and one after it: both are sent separately.
    let mixed = [get("/json"), get("/worked"), get("/json")].concat();
    let cases: [(&str, Vec<u8>, usize); 8] = [
        ("/plaintext", get("/plaintext"), 1),
        ("16 pipelined", get("/plaintext").repeat(16), 16),
        ("/json", get("/json"), 1),
        ("a cached file", get("/small.html"), 1),
        ("a larger cached file", get("/medium.bin"), 1),
        ("a browser's request", request("GET", "/small.html", &browser), 1),
        ("work", get("/worked"), 1),
        ("work and light requests", mixed, IN_FLIGHT_MAX),
    ];
    for (case, request, answers) in cases {
        let allocations = allocations_of(&mut client, &request, answers);
        assert_eq!(allocations, 0, "{name}: {case}");
    }
}

/// One test, for there is one counter.
#[test]
fn a_warm_server_allocates_nothing_for_a_request() {
    let root = tempfile::tempdir().expect("a directory");
    std::fs::write(root.path().join("small.html"), [b'x'; 1024]).expect("a file");
    std::fs::write(root.path().join("medium.bin"), [b'x'; 60_000]).expect("a file");
    let one = ["--workers", "1"];
    let sped = serve("sped", root.path(), &[]);
    check(&sped, "sped");
    check(&serve("amped", root.path(), &one), "amped");
    let all = [&one[..], &["--offload", "all"]].concat();
    check(&serve("amped", root.path(), &all), "amped, all offloaded");
    // The counter does count.
    let before = ALLOCATIONS.load(Relaxed);
    sped.connect().get("/status.json");
    assert!(ALLOCATIONS.load(Relaxed) > before);
}
