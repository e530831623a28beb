//! Looking at files: what is at a path now, before it is known whether that is news.
//!
//! ```text
//! look: open + fstat the file and its siblings ──► Found
//!                                   same stamps as the Resource that is kept? keep it
//! load: read what is small, prepare the heads  ──► Resource
//! ```

use std::fs::File;

use super::encoding::Coding;
use super::media;
use super::open::{OpenError, Opener};
use super::stamp::Stamp;
use crate::app::Disk;

/// A file that is open and has been looked at.
pub struct Opened {
    /// The file.
    pub file: File,
    /// What it was then.
    pub stamp: Stamp,
}

/// What is at a path.
pub enum Place {
    /// A regular file.
    File(Opened),
    /// A directory.
    Directory,
}

/// Opens what is at `path` and looks at it. Neither file nor directory: not found.
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

/// A file and those of its siblings that may stand for it.
pub struct Found {
    /// The media type that its name says.
    pub media: &'static str,
    /// The file as it is.
    pub original: Opened,
    /// Its siblings, by coding.
    pub siblings: Vec<(Coding, Opened)>,
}

impl Found {
    /// The file that was opened as `name`, and, if asked for, its siblings. `name` is worked on.
    ///
    /// # Errors
    /// [`OpenError::Cold`]: it cannot be told whether there are any. Otherwise siblings that cannot
    /// be opened are none.
    pub fn new(
        opener: &Opener,
        name: &mut Vec<u8>,
        original: Opened,
        precompressed: bool,
        disk: Disk,
    ) -> Result<Self, OpenError> {
        let media = media::of_name(name);
        let len = name.len();
        let mut siblings = Vec::new();
        for coding in Coding::COMPRESSED.into_iter().filter(|_| precompressed) {
            name.truncate(len);
            name.extend_from_slice(coding.suffix().as_bytes());
            match look(opener, name, disk) {
                // An older one was made from other bytes.
                Ok(Place::File(sibling)) if sibling.stamp.is_as_new_as(&original.stamp) => {
                    siblings.push((coding, sibling));
                }
                Err(OpenError::Cold) => return Err(OpenError::Cold),
                _ => {}
            }
        }
        Ok(Found { media, original, siblings })
    }
}
