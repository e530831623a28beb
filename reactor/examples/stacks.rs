//! What a thread that waits in recv(2) costs: memory by stack size, and starting it.
//!
//! ```text
//! stacks [THREADS]      1,000, unless said otherwise
//! ```
//!
//! Each row of the first table is a separate process. *PSS* is the process's growth per thread;
//! *mapped* is address space; *areas* are mappings, of which a process has at most
//! `vm.max_map_count` (65,530); *page tables* are the kernel's. To each thread the kernel adds a
//! stack of 16 KiB and a task of about 10 KiB, which are not charged to any process.
//!
//! What the threads do before they wait: *nothing*; *malloc*: allocate once and free it, as an
//! access log's line or a path would; *kept*: keep 1 KiB; *deep*: have used 8 KiB of stack. The
//! C library gives threads arenas of their own, 8 for each core at most, unless `MALLOC_ARENA_MAX`
//! says otherwise (*arenas* 1).
//!
//! The second table is CPU time: a thread that is started, ends at once, and is joined.

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("reads /proc/self/smaps_rollup, which this system does not have");
}

#[cfg(target_os = "linux")]
fn main() -> std::io::Result<()> {
    stacks::main()
}

#[cfg(target_os = "linux")]
mod stacks {
    use std::hint::black_box;
    use std::io::{self, BufRead, Read, Write};
    use std::mem::MaybeUninit;
    use std::os::unix::net::UnixStream;
    use std::process::{Command, Stdio};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::{env, ffi::c_void, fs, ptr, thread};

    const KIB: usize = 1024;
    const STACKS_KIB: [usize; 4] = [16, 64, 256, 2048];
    const WORKS: [&str; 4] = ["nothing", "malloc", "kept", "deep"];
    /// Fits in the smallest of the stacks, below what the C library has on it.
    const DEEP_BYTES: usize = 8 * KIB;
    const STARTS: usize = 5_000;

    pub fn main() -> io::Result<()> {
        let arguments: Vec<String> = env::args().skip(1).collect();
        if let [row, threads, stack, work] = &arguments[..]
            && row == "row"
        {
            let number = |text: &str| text.parse().expect("a number");
            return measure_memory(number(threads), number(stack) * KIB, work);
        }
        let threads = arguments.first().map_or("1000", |text| text);
        println!("{threads} threads, waiting: each");
        println!(
            "  stack KiB  before it waits  arenas   PSS KiB   mapped KiB  areas  page tables KiB"
        );
        for stack in STACKS_KIB {
            for (work, arenas) in WORKS.iter().flat_map(|work| [(work, ""), (work, "1")]) {
                row(threads, &stack.to_string(), work, arenas)?;
            }
        }
        println!("starting, ending and joining a thread: CPU ns");
        for stack in STACKS_KIB {
            let (std, bare) = (time(|| by_std(stack * KIB)), time(|| by_pthread(stack * KIB)));
            println!("  {stack:>9}  std {std:>7.0}  pthread_create {bare:>7.0}");
        }
        Ok(())
    }

    /// In a process of its own, whose heap and arenas are fresh.
    fn row(threads: &str, stack: &str, work: &str, arenas: &str) -> io::Result<()> {
        let mut command = Command::new(env::current_exe()?);
        command.args(["row", threads, stack, work]).stdout(Stdio::piped());
        if !arenas.is_empty() {
            command.env("MALLOC_ARENA_MAX", arenas);
        }
        let mut text = String::new();
        let mut child = command.spawn()?;
        child.stdout.take().expect("piped").read_to_string(&mut text)?;
        child.wait()?;
        let arenas = if arenas.is_empty() { "many" } else { arenas };
        println!("  {stack:>9}  {work:<15}  {arenas:<6}{}", text.trim_end());
        Ok(())
    }

    fn measure_memory(threads: usize, stack: usize, work: &str) -> io::Result<()> {
        let (here, mut there) = UnixStream::pair()?;
        let (here, waiting) = (Arc::new(here), Arc::new(AtomicUsize::new(0)));
        let before = Memory::now()?;
        for _ in 0..threads {
            let (here, waiting, work) = (Arc::clone(&here), Arc::clone(&waiting), work.to_owned());
            thread::Builder::new().stack_size(stack).spawn(move || {
                let kept = before_waiting(&work);
                waiting.fetch_add(1, SeqCst);
                let mut stream: &UnixStream = &here;
                let _ = stream.read(&mut [0; 64]);
                drop(kept);
            })?;
        }
        while waiting.load(SeqCst) < threads {
            thread::yield_now();
        }
        let after = Memory::now()?;
        let each = |before: usize, after: usize| (after - before) as f64 / threads as f64;
        println!(
            "{:>10.1}{:>13.1}{:>7.1}{:>17.1}",
            each(before.pss_kib, after.pss_kib),
            each(before.mapped_kib, after.mapped_kib),
            each(before.areas, after.areas),
            each(before.tables_kib, after.tables_kib),
        );
        there.flush()?;
        std::process::exit(0)
    }

    fn before_waiting(work: &str) -> Option<Vec<u8>> {
        match work {
            "malloc" => drop(black_box(vec![1_u8; 100])),
            "kept" => return Some(vec![1; KIB]),
            "deep" => use_stack(),
            _ => {}
        }
        None
    }

    /// In a frame of its own, which the other rows do not have.
    #[inline(never)]
    fn use_stack() {
        black_box([1_u8; DEEP_BYTES]);
    }

    struct Memory {
        pss_kib: usize,
        mapped_kib: usize,
        tables_kib: usize,
        areas: usize,
    }

    impl Memory {
        fn now() -> io::Result<Memory> {
            let areas = io::BufReader::new(fs::File::open("/proc/self/maps")?).lines().count();
            Ok(Memory {
                pss_kib: kib("/proc/self/smaps_rollup", "Pss:")?,
                mapped_kib: kib("/proc/self/status", "VmSize:")?,
                tables_kib: kib("/proc/self/status", "VmPTE:")?,
                areas,
            })
        }
    }

    /// The number on the line of `file` that begins with `name`.
    fn kib(file: &str, name: &str) -> io::Result<usize> {
        let text = fs::read_to_string(file)?;
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.ok_or_else(|| io::Error::other(format!("{file}: no {name}")))
    }

    fn by_std(stack: usize) {
        let thread = thread::Builder::new().stack_size(stack).spawn(|| {});
        thread.expect("room for a thread").join().expect("no panic");
    }

    /// With the C library's defaults, and nothing more.
    fn by_pthread(stack: usize) {
        extern "C" fn end(argument: *mut c_void) -> *mut c_void {
            argument
        }
        let (mut attributes, mut thread) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        // SAFETY: the attributes are initialised before they are used, the thread before it is
        // joined; `end` takes any argument.
        unsafe {
            assert_eq!(libc::pthread_attr_init(attributes.as_mut_ptr()), 0);
            assert_eq!(libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), stack), 0);
            let code = libc::pthread_create(
                thread.as_mut_ptr(),
                attributes.as_ptr(),
                end,
                ptr::null_mut(),
            );
            assert_eq!(code, 0, "room for a thread");
            assert_eq!(libc::pthread_join(thread.assume_init(), ptr::null_mut()), 0);
            libc::pthread_attr_destroy(attributes.as_mut_ptr());
        }
    }

    /// CPU nanoseconds of this process for each call of `start`.
    fn time(start: impl Fn()) -> f64 {
        start();
        let before = cpu_ns();
        (0..STARTS).for_each(|_| start());
        (cpu_ns() - before) / STARTS as f64
    }

    fn cpu_ns() -> f64 {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` lives until the call returns.
        let code = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
        assert_eq!(code, 0, "{}", io::Error::last_os_error());
        time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
    }
}
