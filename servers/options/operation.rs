//! Options for running a server in earnest, under every model: who speaks for whom, and as whom it
//! runs.

use std::ffi::OsStr;

use super::Options;
use super::error::Fault;
use super::table::{Entry, Slot, utf8};
use crate::proxy_protocol::{NotANetwork, Trusted};

/// What a person decided about running it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operation {
    /// Whether connections begin with a PROXY protocol header.
    pub proxy_protocol: bool,
    /// Who may send it.
    pub trusted: Trusted,
}

pub(super) const OPERATION: &[Entry] = &[
    Entry {
        flag: "proxy-protocol",
        value: "",
        help: "connections begin with a PROXY protocol header (version 1 or 2), from those who are \
               trusted; all others are refused",
        slot: Slot::Switch(|options| &mut options.operation.proxy_protocol),
    },
    Entry {
        flag: "trusted",
        value: "NET",
        help: "who may send it: an IP address, a network (10.0.0.0/8), or unix for Unix sockets; \
               repeatable",
        slot: Slot::List {
            get: |options| options.operation.trusted.to_string(),
            clear: |options| options.operation.trusted = Trusted::default(),
            add: add_trusted,
        },
    },
];

impl Operation {
    /// Checks what several of them together must satisfy; gives the flag with the fault.
    pub(super) fn check(&self) -> Result<(), (&'static str, Fault)> {
        if self.proxy_protocol && self.trusted.is_empty() {
            let mend = "Add --trusted and the balancer's address or network";
            return Err(("--proxy-protocol", Fault::new("nobody is trusted to send it", mend)));
        }
        Ok(())
    }
}

fn add_trusted(options: &mut Options, text: &OsStr) -> Result<(), Fault> {
    let text = utf8(text)?;
    let trusted = &mut options.operation.trusted;
    if text == "unix" {
        trusted.unix = true;
        return Ok(());
    }
    let network = text.parse().map_err(|why| match why {
        NotANetwork::Address => {
            Fault::new("this is no IP address", "Write 10.0.0.1, 10.0.0.0/8, ::1 or unix")
        }
        NotANetwork::Bits => {
            Fault::new("this is no number of bits", "Write 0 to 32 for IPv4, to 128 for IPv6")
        }
        NotANetwork::Host => {
            Fault::new("the address has bits beyond the network's", "Write them as zeros")
        }
    })?;
    trusted.networks.push(network);
    Ok(())
}
