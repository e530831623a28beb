//! What a sandboxed server (`--sandbox`) can no longer do, tried from inside, under every model.
//!
//! The shipped application never needs anything forbidden. So there is another one here, which
//! tries what the request names. This program is both, the tests and the server that they start: it
//! has a `main` of its own, because SYMPED forks, and a process that runs tests has threads.

mod common;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::{env, io, str};

use common::Server;
use common::server::{binary, models};
use reactor::process::Landlock;
use stampede::{Action, App, Request, Response, Status};

/// Names the model of the server that this program is to be.
const MODEL: &str = "CONFINEMENT_TEST_MODEL";

fn main() -> ExitCode {
    if let Ok(model) = env::var(MODEL) {
        return stampede::start::main_after(&model, usize::MAX, |_, _, _| Ok(Prober));
    }
    match Landlock::new() {
        Ok(_) => only_the_root_can_be_read_and_everything_else_is_denied(),
        Err(error) => println!("SKIPPED: the sandbox is NOT tested here: no Landlock ({error})"),
    }
    without_the_option_nothing_is_denied();
    println!("confinement: ok");
    ExitCode::SUCCESS
}

/// Tries what a request names, and answers with the result.
struct Prober;

impl Prober {
    fn attempt(path: &str, about: &str) -> io::Result<()> {
        match path {
            "/read" => fs::read(about).map(drop),
            "/list" => fs::read_dir(about).map(drop),
            "/write" => fs::write(about, "from inside"),
            "/remove" => fs::remove_file(about),
            "/connect" => TcpStream::connect(about).map(drop),
            "/bind" => TcpListener::bind("127.0.0.1:0").map(drop),
            "/run" => Command::new(about).status().map(drop),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

impl App for Prober {
    type Local = ();

    fn local(&self, _: usize) {}

    fn handle(&self, _: &mut (), _: &Request<'_>, _: &mut Response<'_>) -> Action {
        Action::Work
    }

    fn work(&self, request: &Request<'_>, response: &mut Response<'_>) {
        let text = |bytes| str::from_utf8(bytes).expect("UTF-8");
        let about = text(request.query().unwrap_or_default());
        let text = match Prober::attempt(text(request.path()), about) {
            Ok(()) => "done".to_owned(),
            Err(error) => format!("{:?}", error.kind()),
        };
        response.start(Status::OK).field("Content-Type", "text/plain").bytes(text.as_bytes());
    }
}

/// A server with the application above.
fn probing(model: &str, root: &Path, sandbox: &str) -> Server {
    let program = env::current_exe().expect("this program");
    let mut command = binary(program.to_str().expect("UTF-8"));
    command.envs([(MODEL, model), ("STAMPEDE_LISTEN", "127.0.0.1:0")]);
    command.env("STAMPEDE_ROOT", root).env("STAMPEDE_SANDBOX", sandbox);
    Server::spawn(command)
}

fn only_the_root_can_be_read_and_everything_else_is_denied() {
    let (root, outside) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("two"));
    let (root, outside) = (root.path(), outside.path());
    fs::write(root.join("file"), "text").expect("a file");
    fs::write(outside.join("secret"), "text").expect("a file");
    symlink(outside.join("secret"), root.join("link")).expect("a link");
    let elsewhere = TcpListener::bind("127.0.0.1:0").expect("another server");
    let elsewhere = elsewhere.local_addr().expect("its address");
    for (model, _) in models() {
        let server = probing(model, root, "on");
        let ask =
            |what: &str, about: &str| server.get(&format!("/{what}?{about}")).text().to_owned();
        let at = |path: &Path| path.display().to_string();
        assert_eq!(ask("read", &at(&root.join("file"))), "done", "{model}");
        assert_eq!(ask("list", &at(root)), "done", "{model}");
        let denied = "PermissionDenied";
        assert_eq!(ask("read", &at(&root.join("link"))), denied, "{model}: out by a link");
        for path in ["/etc/passwd", "/proc/self/status", &at(&outside.join("secret"))] {
            assert_eq!(ask("read", path), denied, "{model}: {path}");
        }
        assert_eq!(ask("list", "/"), denied, "{model}");
        assert_eq!(ask("write", &at(&root.join("file"))), denied, "{model}");
        assert_eq!(ask("write", &at(&outside.join("new"))), denied, "{model}");
        assert_eq!(ask("remove", &at(&outside.join("secret"))), denied, "{model}");
        assert_eq!(ask("run", "/bin/true"), denied, "{model}");
        assert_eq!(ask("connect", &elsewhere.to_string()), denied, "{model}");
        assert_eq!(ask("bind", ""), denied, "{model}");
    }
    let names = fs::read_dir(outside).expect("the directory").count();
    assert_eq!(names, 1);
}

/// Without it the same attempts succeed: nothing else denies them.
fn without_the_option_nothing_is_denied() {
    let root = tempfile::tempdir().expect("a directory");
    for (model, _) in models() {
        let server = probing(model, root.path(), "off");
        for attempt in ["/read?/etc/passwd", "/list?/", "/bind?", "/run?/bin/true"] {
            assert_eq!(server.get(attempt).text(), "done", "{model}: {attempt}");
        }
    }
}
