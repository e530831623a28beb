//! Files: opening them relative to a directory, reading a directory, and asking whether a write
//! would wait.
//!
//! What the standard library does with paths alone is here for open directories, so that a server
//! stays beneath one of them however the names around it change:
//!
//! ```text
//!  openat2(root, "a/b", BENEATH)              the kernel checks every step         (Linux)
//!  openat(root, "a") ► openat(a, "b")         one component at a time, O_NOFOLLOW  (everywhere)
//!           └─ link? ► readlinkat             and the caller decides where it leads
//! ```
//!
//! | item | what |
//! |---|---|
//! | [`openat`], [`openat2`] | an existing file for reading, closed on exec |
//! | [`OpenFlags`], [`Resolve`] | how it is opened; what the path may lead through |
//! | [`readlinkat`], [`may_be_link`] | a symlink that was not followed |
//! | [`type_at`] | what a name stands for, without opening it |
//! | [`Directory`] | the names in an open directory |
//! | [`wait_writable`], [`PIPE_BUF`] | whether a descriptor takes bytes now, and how many at once |
//! | [`write_now`] | a write that does not wait, whatever it writes to |
//!
//! Nothing is created here: [`std::fs`] does that. Errors are those of the system call
//! named; [`Errno`](crate::Errno) has names for their numbers.

mod directory;
mod flags;
mod open;
mod writable;

pub use directory::{Directory, Entry, FileType};
pub use flags::{OpenFlags, Resolve};
pub use open::{may_be_link, openat, openat2, readlinkat, type_at};
pub use writable::{PIPE_BUF, wait_writable, write_now};
