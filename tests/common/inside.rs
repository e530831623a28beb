//! A server on a thread of the test's own process, with an application of the test's: so that a
//! test can observe and control the application. It runs until the process ends.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::thread;

use stampede::App;
use stampede::metrics::{CounterSlot, Metrics};
use stampede::models;
use stampede::operation::inherited::{Inherited, Predecessor};
use stampede::operation::service::Service;
use stampede::options::{Options, Parsed};

use super::{Client, until};

/// A running server.
pub struct Inside {
    pub address: SocketAddr,
    pub metrics: Metrics,
}

impl Inside {
    /// Runs `app` under the model of that name.
    pub fn start<A: App>(model: &str, app: A, arguments: &[&str]) -> Self {
        Inside::start_with(model, arguments, |_, _| app)
    }

    /// The same for an application that is made from options and counters.
    pub fn start_with<A: App>(
        model: &str,
        arguments: &[&str],
        make: impl FnOnce(&Options, &Metrics) -> A,
    ) -> Self {
        let model = models::by_name::<A>(model).expect("a model");
        let arguments = [&["--listen", "127.0.0.1:0"], arguments].concat();
        let arguments = arguments.into_iter().map(OsString::from);
        let groups = models::option_groups::<A>();
        let parsed = Options::from_env_and_args(model.info, &groups, arguments, |_: &str| None);
        let Ok(Parsed::Run(options)) = parsed else { panic!("options that are none") };
        let mut inherited = Inherited::default();
        let listeners =
            stampede::operation::listen::open(&options, 1, &mut inherited).expect("a listener");
        let address = listeners[0].url.strip_prefix("http://").expect("a TCP address");
        let address = address.trim_end_matches('/').parse().expect("an address");
        let metrics = (model.metrics)(&options).expect("counters");
        let app = make(&options, &metrics);
        let predecessor = Predecessor::default();
        let service = Service::new(&listeners, predecessor, None, None);
        let server = models::Server { listeners, metrics: metrics.clone(), service };
        thread::spawn(move || (model.run)(app, &options, server).expect("a run to the end"));
        Inside { address, metrics }
    }

    /// Connects to it.
    #[track_caller]
    pub fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// The sum of a counter over all slots.
    pub fn counter(&self, name: &str) -> u64 {
        let found = CounterSlot::DESCRIPTIONS.iter().position(|counter| counter.name == name);
        self.metrics.sum()[found.expect("a counter of that name")]
    }

    /// Waits until a counter has that value.
    #[track_caller]
    pub fn until_counter(&self, name: &str, value: u64) {
        until(&format!("{name} = {value}"), || self.counter(name) == value);
    }
}
