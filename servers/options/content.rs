//! What is served: a directory, the demonstration routes, the status pages.

use std::path::PathBuf;
use std::time::Duration;

use super::{Caching, MIB};

/// What is served.
#[derive(Clone, Debug, PartialEq)]
pub struct Content {
    /// The directory to serve.
    pub root: Option<PathBuf>,
    /// Whether the demonstration routes answer. Parsing turns it on when there is no root.
    pub demo: bool,
    /// Whether `/status`, `/status.json` and `/metrics` answer.
    pub status: bool,
    /// Files to serve for a directory, in order of preference.
    pub index: Vec<String>,
    /// Whether a directory without an index file is listed.
    pub autoindex: bool,
    /// Whether files whose name begins with a dot are served.
    pub dotfiles: bool,
    /// Whether `x.br`, `x.zst` and `x.gz` beside `x` are served to clients that accept them.
    pub precompressed: bool,
    /// How long a cached file is served without checking for changes; zero: always check.
    pub cache_ttl: Duration,
    /// What caches between the server and its users are told.
    pub caching: Caching,
    /// Bytes of small files kept in memory, per loop.
    pub cache_bytes: usize,
    /// Files kept open, per loop.
    pub cache_files: usize,
}

impl Default for Content {
    fn default() -> Self {
        Content {
            root: None,
            demo: true,
            status: true,
            index: vec!["index.html".to_owned()],
            autoindex: false,
            dotfiles: false,
            precompressed: true,
            cache_ttl: Duration::from_secs(1),
            caching: Caching::default(),
            cache_bytes: 64 * MIB,
            cache_files: 256,
        }
    }
}
