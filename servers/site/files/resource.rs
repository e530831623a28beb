//! A file, its compressed siblings, and the heads prepared for them.
//!
//! A small file is read whole, between two calls of fstat(2) that must agree; if they never do, it
//! is being written to, and its contents are sent with a weak tag. A large file stays open and is
//! sent from its descriptor.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::Status;
use reactor::page_cache;

use super::conditional::{self, Validators};
use super::encoding::Coding;
use super::look::{Found, Opened};
use super::open::OpenError;
use super::stamp::Stamp;
use crate::app::response::Head;
use crate::app::{Disk, Prepared, Response, SharedFile};
use crate::options::EtagMode;

/// Files up to this size are kept as contents: reading one costs a copy, sending it one `send`.
pub const CONTENTS_BYTES_MAX: u64 = 64 * 1024;

/// A file, ready to be sent in an answer.
pub struct Resource {
    original: Variant,
    siblings: Box<[Variant]>,
}

impl Resource {
    /// Reads what was found, and prepares it.
    ///
    /// # Errors
    /// Reading's, see `pread(2)`; [`OpenError::Cold`] if it would have to wait for a disk.
    pub fn load(
        found: Found,
        now: SystemTime,
        etag: EtagMode,
        disk: Disk,
    ) -> Result<Resource, OpenError> {
        let (vary, media) = (!found.siblings.is_empty(), found.media);
        let about = About { media, vary, cache_control: found.cache_control, etag, now };
        let variant = |coding, opened| Variant::load(coding, opened, &about, disk);
        let original = variant(found.coding, found.original)?;
        let siblings = found.siblings.into_iter().map(|(coding, opened)| variant(coding, opened));
        Ok(Resource { original, siblings: siblings.collect::<Result<_, _>>()? })
    }

    /// The same on a thread that may wait for a disk.
    pub fn stop_readahead(&self) {
        for variant in self.variants() {
            if let Content::File(file) = &variant.content {
                page_cache::stop_readahead(&**file);
            }
        }
    }

    /// Whether what was found is certainly what this was made from: never for a young file, nor
    /// after the clock was set back to before one of its dates.
    pub fn is_same_as(&self, found: &Found, now_s: u64) -> bool {
        self.variants().all(|variant| variant.modified_s <= now_s)
            && self.original.is_made_from(&found.original)
            && self.original.media == found.media
            && self.siblings.len() == found.siblings.len()
            && self.siblings.iter().zip(&found.siblings).all(|(variant, (coding, opened))| {
                variant.coding == *coding && variant.is_made_from(opened)
            })
    }

    /// The file itself, uncompressed unless its name says otherwise.
    #[inline]
    pub fn original(&self) -> &Variant {
        &self.original
    }

    /// Whether the answer depends on `Accept-Encoding`.
    #[inline]
    pub fn varies(&self) -> bool {
        !self.siblings.is_empty()
    }

    /// The variant in this coding, if there is one.
    pub fn variant(&self, coding: Coding) -> Option<&Variant> {
        self.variants().find(|variant| variant.coding == coding)
    }

    fn variants(&self) -> impl Iterator<Item = &Variant> {
        std::iter::once(&self.original).chain(&self.siblings)
    }

    /// Bytes of memory that it holds, not counting itself.
    pub fn memory(&self) -> usize {
        size_of_val(&*self.siblings) + self.variants().map(Variant::memory).sum::<usize>()
    }

    /// Files it keeps open.
    pub fn files(&self) -> usize {
        self.variants().filter(|variant| matches!(variant.content, Content::File(_))).count()
    }
}

/// Where a variant's bytes are.
pub enum Content {
    /// In memory, behind a prepared head.
    Prepared(Prepared),
    /// In an open file.
    File(SharedFile),
}

/// A file in one coding.
pub struct Variant {
    coding: Coding,
    media: &'static str,
    /// Whether the file has other variants.
    vary: bool,
    cache_control: Option<Arc<str>>,
    stamp: Stamp,
    /// Whether the stamp certainly identifies these bytes.
    strong: bool,
    /// Empty if there is none.
    etag: String,
    modified_s: u64,
    modified: String,
    content: Content,
}

/// What all variants of a file have in common.
struct About {
    media: &'static str,
    vary: bool,
    cache_control: Option<Arc<str>>,
    etag: EtagMode,
    now: SystemTime,
}

impl Variant {
    fn load(coding: Coding, opened: Opened, about: &About, disk: Disk) -> Result<Self, OpenError> {
        let now = about.now;
        let Read { contents, file, stamp, settled } = read(opened, disk)?;
        let strong = settled && !stamp.is_young(now);
        let modified_s = stamp.modified_s(now);
        let mut variant = Variant {
            coding,
            media: about.media,
            vary: about.vary,
            cache_control: about.cache_control.clone(),
            stamp,
            strong,
            etag: stamp.etag(coding, about.etag, !strong, now),
            modified_s,
            modified: conditional::date_text(modified_s),
            content: Content::File(Arc::new(file)),
        };
        if let Some(contents) = contents {
            variant.content = Content::Prepared(variant.prepare(contents)?);
        }
        Ok(variant)
    }

    fn prepare(&self, contents: Bytes) -> Result<Prepared, OpenError> {
        let fields: Vec<_> = self.fields().collect();
        // It cannot fail: the fields are our own.
        Prepared::new(Status::OK, &fields, contents).map_err(|_| OpenError::Failed)
    }

    /// The fields of a 200.
    fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.description().into_iter().chain(self.promises()).flatten()
    }

    /// The fields that describe these bytes; the type comes first.
    fn description(&self) -> [Option<(&str, &str)>; 4] {
        let compressed = self.coding != Coding::Identity;
        [
            Some(("Content-Type", self.media)),
            // Types come from names; without this, a browser would run text that looks like a page
            // as one.
            Some(("X-Content-Type-Options", "nosniff")),
            compressed.then(|| ("Content-Encoding", self.coding.name())),
            self.vary(),
        ]
    }

    /// The fields for later requests for these bytes.
    fn promises(&self) -> [Option<(&str, &str)>; 4] {
        [
            Some(("Last-Modified", &self.modified)),
            self.etag(),
            Some(("Accept-Ranges", "bytes")),
            self.cache_control(),
        ]
    }

    fn etag(&self) -> Option<(&str, &str)> {
        (!self.etag.is_empty()).then_some(("ETag", &self.etag))
    }

    fn cache_control(&self) -> Option<(&str, &str)> {
        self.cache_control.as_deref().map(|value| ("Cache-Control", value))
    }

    fn vary(&self) -> Option<(&'static str, &'static str)> {
        self.vary.then_some(("Vary", "Accept-Encoding"))
    }

    fn is_made_from(&self, opened: &Opened) -> bool {
        self.strong && self.stamp == opened.stamp
    }

    fn memory(&self) -> usize {
        let text = self.etag.capacity() + self.modified.capacity();
        text + match &self.content {
            Content::Prepared(prepared) => prepared.cost(),
            Content::File(_) => 64,
        }
    }

    /// Whether its bytes still match its tag. An open file may have been written to since it was
    /// last checked, within the time to live; fstat(2) is cheap compared with sending it. And whether
    /// its Last-Modified is not later than `now_s`, the answer's Date (RFC 9110, section 8.8.2.1):
    /// the clock may have been set back.
    pub fn is_current(&self, now_s: u64) -> bool {
        self.modified_s <= now_s && self.has_its_bytes()
    }

    fn has_its_bytes(&self) -> bool {
        match &self.content {
            Content::Prepared(_) => true,
            Content::File(file) => {
                file.metadata().is_ok_and(|metadata| Stamp::of(&metadata) == self.stamp)
            }
        }
    }

    /// Length in bytes.
    pub fn size(&self) -> u64 {
        match &self.content {
            Content::Prepared(prepared) => prepared.body().len() as u64,
            Content::File(_) => self.stamp.size,
        }
    }

    /// Its media type.
    pub fn media(&self) -> &'static str {
        self.media
    }

    /// Its bytes.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// The validators for conditions.
    pub fn validators(&self) -> Validators<'_> {
        Validators { etag: self.etag.as_bytes(), modified_s: self.modified_s, strong: self.strong }
    }

    /// Starts an answer with these bytes.
    pub fn start<'r, 'a>(&self, response: &'r mut Response<'a>, status: Status) -> Head<'r, 'a> {
        add(response.start(status), self.fields())
    }

    /// The same, with the type of a body that has these bytes as parts.
    pub fn start_as<'r, 'a>(
        &self,
        response: &'r mut Response<'a>,
        status: Status,
        media: &str,
    ) -> Head<'r, 'a> {
        add(response.start(status).field("Content-Type", media), self.fields().skip(1))
    }

    /// Starts an error answer with these bytes as its page: no validators, no ranges.
    pub fn start_error<'r, 'a>(
        &self,
        response: &'r mut Response<'a>,
        status: Status,
    ) -> Head<'r, 'a> {
        add(response.start(status), self.description().into_iter().flatten())
    }

    /// Starts a 304, with those of the 200's fields that RFC 9110, section 15.4.5 requires; without
    /// an entity tag the date is the only validator.
    pub fn start_not_modified<'r, 'a>(&self, response: &'r mut Response<'a>) -> Head<'r, 'a> {
        let validator = self.etag().unwrap_or(("Last-Modified", &self.modified));
        let fields = [Some(validator), self.vary(), self.cache_control()];
        add(response.start(Status::NOT_MODIFIED), fields.into_iter().flatten())
    }
}

fn add<'r, 'a, 'f>(
    head: Head<'r, 'a>,
    fields: impl Iterator<Item = (&'f str, &'f str)>,
) -> Head<'r, 'a> {
    fields.fold(head, |head, (name, value)| head.field(name, value))
}

/// A file after the attempt to read it.
struct Read {
    /// `None` for a large file.
    contents: Option<Bytes>,
    file: File,
    stamp: Stamp,
    /// Whether the stamp was the same before and after.
    settled: bool,
}

fn read(opened: Opened, disk: Disk) -> Result<Read, OpenError> {
    const TRIES: u32 = 3;
    let Opened { file, mut stamp } = opened;
    let mut last = None;
    for _ in 0..TRIES {
        if stamp.size > CONTENTS_BYTES_MAX {
            return Ok(Read { contents: None, file, stamp, settled: true });
        }
        let contents = Some(Bytes::from(read_up_to(&file, stamp.size as usize, disk)?));
        let after = Stamp::of(&file.metadata().map_err(|error| OpenError::of(&error))?);
        let whole = contents.as_ref().is_some_and(|bytes| bytes.len() as u64 == stamp.size);
        if after == stamp && whole {
            return Ok(Read { contents, file, stamp, settled: true });
        }
        stamp = after;
        last = contents;
    }
    Ok(Read { contents: last, file, stamp, settled: false })
}

/// The file's first `len` bytes, or all of it if it is shorter.
fn read_up_to(file: &File, len: usize, disk: Disk) -> Result<Vec<u8>, OpenError> {
    let mut contents = vec![0; len];
    let mut filled = 0;
    while filled < len {
        let (room, at) = (&mut contents[filled..], filled as u64);
        let read = match disk {
            Disk::Wait => file.read_at(room, at).map(Some),
            Disk::Avoid => page_cache::read_cached(file, room, at),
        };
        match read {
            Ok(Some(0)) => break,
            Ok(Some(count)) => filled += count,
            Ok(None) => return Err(OpenError::Cold),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(OpenError::of(&error)),
        }
    }
    contents.truncate(filled);
    Ok(contents)
}
