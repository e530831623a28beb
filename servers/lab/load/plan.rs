//! What a load is: [`Plan`].

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::routes::Route;
use super::slow::Slow;

/// A load, from its beginning to its end.
#[derive(Clone)]
pub struct Plan {
    /// The server.
    pub address: SocketAddr,
    /// What is asked for; not empty.
    pub routes: Vec<Route>,
    /// Connections that ask.
    pub connections: u32,
    /// Requests under way on a connection at a time: 1 to 64.
    pub pipeline: u8,
    /// When requests are sent.
    pub pace: Pace,
    /// After how many requests the client closes a connection and opens another; 0: never.
    pub requests_per_connection: u32,
    /// Clients that do not ask but linger.
    pub slow: Vec<(Slow, u32)>,
    /// How long the load runs before it is measured.
    pub warm_up: Duration,
    /// How long it is measured.
    pub duration: Duration,
    /// How long a response may take.
    pub timeout: Duration,
    /// Threads, each with a loop and its share of the connections.
    pub threads: u32,
    /// The first of the clients' addresses; connections are spread over 8 from there on. One address
    /// has some 28,000 ports, and finding a free one gets slow long before that.
    pub source: Option<Ipv4Addr>,
}

/// When requests are sent.
#[derive(Copy, Clone, Debug, PartialEq)]
pub enum Pace {
    /// The next one when an answer is there (a closed loop): the server sets the pace, and while it
    /// stalls nothing is asked, and so nothing is measured.
    Closed,
    /// That many a second, evenly (an open loop): what cannot be sent in time waits, and its latency
    /// counts from when it was due. Tene calls the difference *coordinated omission*.
    PerSecond(f64),
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            routes: Vec::new(),
            connections: 50,
            pipeline: 1,
            pace: Pace::Closed,
            requests_per_connection: 0,
            slow: Vec::new(),
            warm_up: Duration::from_secs(1),
            duration: Duration::from_secs(10),
            timeout: Duration::from_secs(10),
            threads: 1,
            source: None,
        }
    }
}

impl Plan {
    /// The part of thread `index` of [`Plan::threads`].
    pub(super) fn share(&self, index: u32) -> Plan {
        let part = |whole: u32| whole / self.threads + u32::from(index < whole % self.threads);
        let pace = match self.pace {
            Pace::Closed => Pace::Closed,
            Pace::PerSecond(rate) => {
                let share = f64::from(part(self.connections)) / f64::from(self.connections.max(1));
                Pace::PerSecond(rate * share)
            }
        };
        Plan {
            connections: part(self.connections),
            slow: self.slow.iter().map(|(slow, count)| (*slow, part(*count))).collect(),
            pace,
            ..self.clone()
        }
    }

    /// All connections, those of slow clients among them.
    pub fn all_connections(&self) -> u32 {
        self.connections + self.slow.iter().map(|(_, count)| count).sum::<u32>()
    }
}
