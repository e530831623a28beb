//! Where there is no Landlock: nothing can be denied, and every request is an error.

use std::convert::Infallible;
use std::io;
use std::ops::BitOr;
use std::path::Path;

/// What may be done with files.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Access(());

impl Access {
    /// Reading.
    pub const READ: Access = Access(());
    /// Opening files to write.
    pub const WRITE: Access = Access(());
    /// Making files.
    pub const MAKE: Access = Access(());
    /// Removing files.
    pub const REMOVE: Access = Access(());
}

impl BitOr for Access {
    type Output = Access;

    fn bitor(self, _: Access) -> Access {
        self
    }
}

/// Rules; there are none.
#[derive(Debug)]
pub struct Landlock(Infallible);

impl Landlock {
    /// None.
    ///
    /// # Errors
    /// Always.
    pub fn new() -> io::Result<Landlock> {
        Err(unsupported())
    }

    /// Of no rules.
    ///
    /// # Errors
    /// None.
    pub fn allow(&self, _: &Path, _: Access) -> io::Result<()> {
        match self.0 {}
    }

    /// Of no rules.
    pub fn missing(&self) -> Option<&'static str> {
        match self.0 {}
    }

    /// Of no rules.
    ///
    /// # Errors
    /// None.
    pub fn enter(&self) -> io::Result<()> {
        match self.0 {}
    }
}

/// Not available.
///
/// # Errors
/// Always.
pub fn no_new_privileges() -> io::Result<()> {
    Err(unsupported())
}

fn unsupported() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "supported on Linux only")
}
