//! The lab: what is said about the models, put to the test.
//!
//! ```text
//! lab load URL     a load for any HTTP/1.1 server
//! lab run ID …     experiments: claims of the literature, measured
//! lab top URL      a running server's numbers, live
//! lab serve MODEL  one of the models, as its own binary runs it
//! ```

pub mod bench;
pub mod command;
pub mod experiment;
pub mod experiments;
pub mod findings;
pub mod interrupt;
pub mod load;
pub mod machine;
mod mortal;
pub mod plot;
pub mod problem;
pub mod process;
pub mod report;
pub mod run;
pub mod server;
pub mod stats;
pub mod text;
pub mod top;
