//! A warm server allocates nothing for a request: counted by the allocator of a process that
//! serves.
//!
//! The server runs on a thread of this test's own process, because only there can its allocations
//! be told from anybody else's. It runs until the process ends.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use stampede::counters::Census;
use stampede::models;
use stampede::options::{Options, Parsed};
use stampede::server::Server;
use stampede::site::Site;
use stampede::upgrade::{Inherited, Predecessor};

use common::{Client, get, request};

/// Allocations on threads that serve.
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Whether this thread serves. A constant without a destructor: asking for it allocates
    /// nothing.
    static SERVES: Cell<bool> = const { Cell::new(false) };
}

struct Counting;

fn note() {
    if SERVES.get() {
        ALLOCATIONS.fetch_add(1, Relaxed);
    }
}

// SAFETY: every call is passed on to the system's allocator as it came; counting allocates nothing.
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

/// Serves `root` on a thread of this process.
fn serve(root: &Path) -> SocketAddr {
    let root = root.to_str().expect("UTF-8");
    let arguments = ["--listen", "127.0.0.1:0", "--demo", "--root", root, "--cache-ttl", "1h"];
    let arguments = arguments.map(OsString::from);
    let card = &stampede::models::sped::CARD;
    let parsed = Options::from_env_and_args(card, arguments, |_: &str| None);
    let Ok(Parsed::Run(options)) = parsed else { panic!("options that are none") };
    let listeners =
        stampede::listen::open(&options, 1, &mut Inherited::default()).expect("a listener");
    let address = listeners[0].url.strip_prefix("http://").expect("a TCP address");
    let address = address.trim_end_matches('/').parse().expect("an address");
    thread::spawn(move || {
        let census = Census::new(1).expect("counters");
        let model = models::by_name::<Site>("sped").expect("a model");
        let site = Site::new(&options, census.clone(), model.card).expect("a site");
        SERVES.set(true);
        let predecessor = Predecessor::default();
        let server = Server { name: "sped", listeners, census, predecessor };
        (model.run)(site, &options, server).expect("a run to the end");
    });
    address
}

/// Allocations during so many more of the same request, after as many to get warm.
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

/// One test, for there is one counter.
#[test]
fn a_warm_server_allocates_nothing_for_a_request() {
    let root = tempfile::tempdir().expect("a directory");
    std::fs::write(root.path().join("small.html"), [b'x'; 1024]).expect("a file");
    std::fs::write(root.path().join("medium.bin"), [b'x'; 60_000]).expect("a file");
    let address = serve(root.path());
    let mut client = Client::connect(address);
    let browser = [
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101",
        "Accept: text/html,application/xhtml+xml,*/*;q=0.8",
        "Accept-Language: en-US,en;q=0.5",
        "Accept-Encoding: gzip, deflate, br, zstd",
        "Connection: keep-alive",
    ];
    let cases: [(&str, Vec<u8>, usize); 6] = [
        ("/plaintext", get("/plaintext"), 1),
        ("16 pipelined", get("/plaintext").repeat(16), 16),
        ("/json", get("/json"), 1),
        ("a cached file", get("/small.html"), 1),
        ("a larger cached file", get("/medium.bin"), 1),
        ("a browser's request", request("GET", "/small.html", &browser), 1),
    ];
    for (name, request, answers) in cases {
        let allocations = allocations_of(&mut client, &request, answers);
        assert_eq!(allocations, 0, "{name}");
    }
    // The counter does count.
    let before = ALLOCATIONS.load(Relaxed);
    client.get("/status.json");
    assert!(ALLOCATIONS.load(Relaxed) > before);
}
