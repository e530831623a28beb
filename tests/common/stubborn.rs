//! An application whose work is controlled by the test: it ends when released, or panics.
//!
//! | path | what |
//! |---|---|
//! | `/light` | answered at once |
//! | `/work?…` | work that is done at once |
//! | `/block?…` | work that takes until the gate is opened |
//! | `/panic` | work that panics |
//!
//! A response's text is the request's target. Started work is recorded in order.

use std::sync::{Arc, Condvar, Mutex};

use stampede::{Action, App, Request, Response, Status};

use super::until;

/// The test's handle to the application.
#[derive(Clone, Default)]
pub struct Gate {
    inner: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    open: bool,
    /// Targets of the work that was started, in order.
    begun: Vec<String>,
    /// Work that is waiting at the gate now.
    waiting: usize,
}

impl Gate {
    /// Lets all work pass, from now on.
    pub fn open(&self) {
        self.inner.0.lock().expect("no panic inside").open = true;
        self.inner.1.notify_all();
    }

    /// Recorded work, in the order in which it was started.
    pub fn begun(&self) -> Vec<String> {
        self.inner.0.lock().expect("no panic inside").begun.clone()
    }

    /// Waits until this much work waits at the gate.
    #[track_caller]
    pub fn until_waiting(&self, count: usize) {
        let waiting = || self.inner.0.lock().expect("no panic inside").waiting;
        until(&format!("{count} at the gate"), || waiting() == count);
    }

    fn begin(&self, target: &str) {
        self.inner.0.lock().expect("no panic inside").begun.push(target.to_owned());
    }

    fn pass(&self) {
        let mut state = self.inner.0.lock().expect("no panic inside");
        state.waiting += 1;
        while !state.open {
            state = self.inner.1.wait(state).expect("no panic inside");
        }
        state.waiting -= 1;
    }
}

/// The application.
pub struct Stubborn(pub Gate);

fn answer(request: &Request<'_>, response: &mut Response<'_>) {
    response.start(Status::OK).field("Content-Type", "text/plain").bytes(request.target());
}

impl App for Stubborn {
    type Local = ();

    fn local(&self, _index: usize) {}

    fn handle(&self, _: &mut (), request: &Request<'_>, response: &mut Response<'_>) -> Action {
        if request.path() != b"/light" {
            return Action::Work;
        }
        answer(request, response);
        Action::Done
    }

    fn work(&self, request: &Request<'_>, response: &mut Response<'_>) {
        self.0.begin(&String::from_utf8_lossy(request.target()));
        match request.path() {
            b"/block" => self.0.pass(),
            // The default hook prints where: as a server's would.
            b"/panic" => panic!("as it was asked to"),
            _ => {}
        }
        answer(request, response);
    }
}
