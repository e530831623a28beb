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
pub fn look(opener: &Opener, path: &[u8]) -> Result<Place, OpenError> {
    let file = opener.open(path)?;
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
    pub fn new(opener: &Opener, name: &mut Vec<u8>, original: Opened, precompressed: bool) -> Self {
        let media = media::of_name(name);
        let len = name.len();
        let mut siblings = Vec::new();
        for coding in Coding::COMPRESSED.into_iter().filter(|_| precompressed) {
            name.truncate(len);
            name.extend_from_slice(coding.suffix().as_bytes());
            // A sibling older than the file was made from other bytes.
            if let Ok(Place::File(sibling)) = look(opener, name)
                && sibling.stamp.is_as_new_as(&original.stamp)
            {
                siblings.push((coding, sibling));
            }
        }
        Found { media, original, siblings }
    }
}
