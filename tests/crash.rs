//! What one crash costs: a request aborts the process that answers it, while a hundred other clients
//! are connected. Under every model the clients of that process are hurt, and no others.
//!
//! ```text
//! crasher ── /crash ──► abort()          100 clients, each with a connection of its own
//!                         │
//!                         └─ hurt: those whose connection ends;  then: is a new client served?
//! ```
//!
//! And what a panic costs, while standard error is a pipe that is full and not read: the answer, or
//! the connection, but no time.
//!
//! The shipped application never aborts, so there is another one here. This program is both, the
//! tests and the server that they start: it has a `main` of its own, because some models fork, and a
//! process that runs tests has threads.

mod common;

use std::env;
use std::io;
use std::net::TcpListener;
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{self, Command, ExitCode};

use common::server::{binary, models};
use common::{Client, Server, get, os};
use stampede::{Action, App, Request, Response, Status};

/// Names the model of the server that this program is to be.
const MODEL: &str = "CRASH_TEST_MODEL";
/// Clients beside the one that crashes its server.
const CLIENTS: usize = 100;

fn main() -> ExitCode {
    if let Ok(model) = env::var(MODEL) {
        without_core_dumps();
        return stampede::start::main_after(&model, usize::MAX, |_, _, _| Ok(Mortal));
    }
    println!("{:<10} {:>8} {:>12}   afterwards", "model", "hurt", "of clients");
    for (model, _) in models() {
        a_crash_hurts_the_clients_of_its_process_and_no_others(model);
    }
    for (model, _) in models() {
        a_panic_waits_for_no_reader_of_its_message(model);
    }
    println!("crash: ok");
    ExitCode::SUCCESS
}

/// Answers with its process, unless it is asked to abort.
struct Mortal;

impl App for Mortal {
    type Local = ();

    fn local(&self, _: usize) {}

    fn handle(&self, _: &mut (), request: &Request<'_>, response: &mut Response<'_>) -> Action {
        if request.path() == b"/crash" {
            process::abort();
        }
        assert_ne!(request.path(), b"/panic", "as asked for");
        let pid = process::id().to_string();
        response.start(Status::OK).field("Content-Type", "text/plain").bytes(pid.as_bytes());
        Action::Done
    }
}

fn without_core_dumps() {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is there for the length of the call.
    let code = unsafe { libc::setrlimit(libc::RLIMIT_CORE, &none) };
    assert_eq!(code, 0, "no core dumps");
}

/// Enough processes that some clients share the crashed one, and some do not.
fn settings(model: &str) -> &'static [(&'static str, &'static str)] {
    match model {
        "symped" => &[("STAMPEDE_WORKERS", "4")],
        "prefork" => &[("STAMPEDE_WORKERS", "4"), ("STAMPEDE_THREADS", "40")],
        _ => &[],
    }
}

/// Whether there is a server after the crash of a process that served.
fn survives(model: &str) -> bool {
    matches!(model, "mp" | "prefork" | "symped")
}

fn command(model: &str, listen: &str) -> Command {
    let program = env::current_exe().expect("this program");
    let mut command = binary(program.to_str().expect("UTF-8"));
    command.envs([(MODEL, model), ("STAMPEDE_LISTEN", listen)]);
    command.envs(settings(model).iter().copied());
    command
}

fn mortal(model: &str) -> Server {
    Server::spawn(command(model, "127.0.0.1:0"))
}

/// The process that serves this client; `None`: the connection has ended.
fn served_by(client: &mut Client) -> Option<String> {
    client.try_send(&get("/")).ok()?;
    client.try_response().ok().map(|response| response.text().to_owned())
}

fn a_crash_hurts_the_clients_of_its_process_and_no_others(model: &str) {
    let mut server = mortal(model);
    let mut crasher = server.connect();
    let doomed = served_by(&mut crasher).expect("an answer");
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| server.connect()).collect();
    // Where one client is served at a time, the others wait for the process that is to crash.
    let waits = model == "iterative";
    let processes: Vec<String> = match waits {
        true => vec![doomed.clone(); CLIENTS],
        false => clients.iter_mut().map(|client| served_by(client).expect("served")).collect(),
    };
    crasher.send(&get("/crash"));
    crasher.expect_end();
    let hurt: Vec<bool> = clients.iter_mut().map(|client| served_by(client).is_none()).collect();
    for (hurt, process) in hurt.iter().zip(&processes) {
        assert_eq!(*hurt, *process == doomed, "{model}: a client of process {process}, {doomed}");
    }
    let count = hurt.iter().filter(|hurt| **hurt).count();
    match model {
        "mp" => assert_eq!(count, 0, "{model}"),
        "prefork" | "symped" => assert!(count < CLIENTS, "{model}: {count}"),
        _ => assert_eq!(count, CLIENTS, "{model}"),
    }
    drop(clients);
    let then = match survives(model) {
        true => {
            serves_new_clients(&server);
            "serves new clients"
        }
        false => {
            assert!(!server.wait().success(), "{model}");
            "the server is gone"
        }
    };
    println!("{model:<10} {count:>8} {CLIENTS:>12}   {then}");
}

#[track_caller]
fn serves_new_clients(server: &Server) {
    for _ in 0..20 {
        assert!(served_by(&mut server.connect()).is_some(), "a new client is served");
    }
}

/// The standard library's own message would wait, with the thread or the loop that has panicked.
fn a_panic_waits_for_no_reader_of_its_message(model: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let (_reader, writer) = os::full_pipe();
    let (mut command, socket) = (command(model, "fd:7"), listener.as_raw_fd());
    // SAFETY: between fork and exec the closure makes one system call and allocates nothing.
    unsafe { command.pre_exec(move || os::duplicate_to(socket, 7)) };
    let mut server = command.stderr(writer).spawn().expect("a server");
    let mut client = Client::connect(listener.local_addr().expect("its address"));
    client.send(&get("/panic"));
    match client.try_response() {
        Ok(response) => assert_eq!(response.status, 500, "{model}"),
        Err(error) => assert_ne!(error.kind(), io::ErrorKind::WouldBlock, "{model}: too late"),
    }
    server.kill().expect("killing it");
    server.wait().expect("its end");
}
