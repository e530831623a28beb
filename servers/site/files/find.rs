//! From a canonical path to the files it stands for.
//!
//! ```text
//! /a/b   ──► a/b, with its compressed siblings     (a directory: Miss::Slash, for a redirect)
//! /a/b/  ──► the first of a/b/index.html, …        (none of them: Miss::Listing)
//! ```

use super::look::{Found, Opened, Place, Site, look};
use super::open::{OpenError, Opener};
use super::{Files, Miss, path};
use crate::app::Disk;

impl Files {
    /// Opens the files that a canonical path stands for. `name` is a buffer.
    pub(super) fn find(&self, path: &[u8], name: &mut Vec<u8>, disk: Disk) -> Result<Found, Miss> {
        let opener = &*self.root.opener();
        name.clear();
        name.extend_from_slice(path::relative(path));
        if path::is_directory(path) {
            return self.find_index(opener, name, disk);
        }
        match look(opener, name, disk).map_err(Miss::Error)? {
            Place::File(file) => self.found(opener, name, file, disk),
            Place::Directory => Err(Miss::Slash),
        }
    }

    /// The first of the index files that the directory `name` has.
    fn find_index(&self, opener: &Opener, name: &mut Vec<u8>, disk: Disk) -> Result<Found, Miss> {
        let len = name.len();
        for index in &self.index {
            name.truncate(len);
            name.extend_from_slice(if len == 0 { b"" } else { b"/" });
            name.extend_from_slice(index.as_bytes());
            match look(opener, name, disk) {
                Ok(Place::File(file)) => return self.found(opener, name, file, disk),
                Ok(Place::Directory) | Err(OpenError::NotFound) => {}
                Err(error) => return Err(Miss::Error(error)),
            }
        }
        name.truncate(len);
        match look(opener, name, disk).map_err(Miss::Error)? {
            Place::Directory => Err(Miss::Listing),
            Place::File(_) => Err(Miss::Error(OpenError::NotFound)),
        }
    }

    fn found(
        &self,
        opener: &Opener,
        name: &mut Vec<u8>,
        file: Opened,
        disk: Disk,
    ) -> Result<Found, Miss> {
        let site = Site { precompressed: self.precompressed, caching: &self.caching };
        Found::new(opener, name, file, site, disk).map_err(Miss::Error)
    }
}
