//! An application of your own, under a model chosen by name:
//! `cargo run --release --example hello -- sped --listen 127.0.0.1:8081`

use std::process::ExitCode;

use stampede::{Action, App, Request, Response, Status};

struct Hello;

impl App for Hello {
    type Local = ();

    fn local(&self, _index: usize) {}

    fn handle(&self, _: &mut (), request: &Request<'_>, response: &mut Response<'_>) -> Action {
        let greeting = [b"Hello from ", request.path(), b"\n"].concat();
        response.start(Status::OK).field("Content-Type", "text/plain").bytes(&greeting);
        Action::Done
    }
}

fn main() -> ExitCode {
    let model = std::env::args().nth(1).unwrap_or_else(|| "sped".to_owned());
    stampede::start::main_after(&model, 2, |_, _, _| Ok(Hello))
}
