//! The lab: what is said about the models, put to the test.
//!
//! ```text
//! lab load URL     a load for any HTTP/1.1 server
//! lab serve MODEL  one of the models, as its own binary runs it
//! ```

pub mod command;
pub mod interrupt;
pub mod load;
pub mod process;
pub mod text;
