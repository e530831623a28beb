//! Looking at files: what is at a path now, before it is known whether it has changed.
//!
//! ```text
//! look: open + fstat the file and its siblings ──► Found
//!                                   same stamps as the cached Resource? keep it
//! load: read small files, prepare the heads    ──► Resource
//! ```

use std::fs::File;
use std::sync::Arc;

use super::encoding::Coding;
use super::media;
use super::open::{OpenError, Opener};
use super::stamp::Stamp;
use crate::app::Disk;
use crate::options::Caching;

/// An open file and its stamp.
pub struct Opened {
    /// The file.
    pub file: File,
    /// Its state when it was opened.
    pub stamp: Stamp,
}

/// What is at a path.
pub enum Place {
    /// A regular file.
    File(Opened),
    /// A directory.
    Directory,
}

/// Opens what is at `path`. Neither file nor directory: not found.
///
/// # Errors
/// See [`OpenError`].
pub fn look(opener: &Opener, path: &[u8], disk: Disk) -> Result<Place, OpenError> {
    let file = match disk {
        Disk::Wait => opener.open(path),
        Disk::Avoid => opener.open_cached(path),
    }?;
    let metadata = file.metadata().map_err(|error| OpenError::of(&error))?;
    if metadata.is_dir() {
        Ok(Place::Directory)
    } else if metadata.is_file() {
        Ok(Place::File(Opened { stamp: Stamp::of(&metadata), file }))
    } else {
        Err(OpenError::NotFound)
    }
}

/// What the operator has chosen for all files.
#[derive(Copy, Clone)]
pub struct Site<'o> {
    /// Whether to look for siblings.
    pub precompressed: bool,
    /// What caches are told.
    pub caching: &'o Caching,
}

/// A file and its usable siblings.
pub struct Found {
    /// The media type by its name.
    pub media: &'static str,
    /// The coding that the file itself is in.
    pub coding: Coding,
    /// Its Cache-Control.
    pub cache_control: Option<Arc<str>>,
    /// The file as it is.
    pub original: Opened,
    /// Its siblings, by coding.
    pub siblings: Vec<(Coding, Opened)>,
}

impl Found {
    /// The file that was opened as `name`, and, if asked for, its siblings. Modifies `name`.
    ///
    /// # Errors
    /// [`OpenError::Cold`]: it is unknown whether there are siblings. Siblings that cannot be
    /// opened for other reasons are ignored.
    pub fn new(
        opener: &Opener,
        name: &mut Vec<u8>,
        original: Opened,
        Site { precompressed, caching }: Site<'_>,
        disk: Disk,
    ) -> Result<Self, OpenError> {
        let cache_control = caching.cache_control(name).cloned();
        let (media, coding) = (media::of_name(name), media::coding_of_name(name));
        // What is compressed by itself is not compressed twice.
        let precompressed = precompressed && coding == Coding::Identity;
        let len = name.len();
        let mut siblings = Vec::new();
        for sibling_coding in Coding::COMPRESSED.into_iter().filter(|_| precompressed) {
            name.truncate(len);
            name.extend_from_slice(sibling_coding.suffix().as_bytes());
            match look(opener, name, disk) {
                // An older one was made from different contents.
                Ok(Place::File(sibling)) if sibling.stamp.is_as_new_as(&original.stamp) => {
                    siblings.push((sibling_coding, sibling));
                }
                Err(OpenError::Cold) => return Err(OpenError::Cold),
                _ => {}
            }
        }
        Ok(Found { media, coding, cache_control, original, siblings })
    }
}
