//! A child process for each connection.
//!
//! | file | what |
//! |---|---|
//! | `parent` | accepting, forking, waiting for children |
//! | `child` | how a child waits for its client |
//! | `deaths` | what an operator learns of children that have died |

mod child;
mod deaths;
mod parent;

pub use parent::{Forks, Parent};
