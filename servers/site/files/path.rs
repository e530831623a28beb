//! From the path of a request to the name of a file beneath the root.
//!
//! ```text
//! /a//b/./c%20d/../e.html ──decode──► /a//b/e.html ──canonical──► /a/b/e.html
//! ```
//!
//! The canonical path is the cache's key: all spellings of a path share one entry. Decoding already
//! removes `..` (RFC 3986, section 5.2.4); it is refused again here, since the rest of the site
//! relies on its absence.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// The directory of what other programs look for on every site, certificates' challenges among it
/// (RFC 8615): served although its name is a hidden one.
const WELL_KNOWN: &[u8] = b".well-known";

/// Why a path names no file.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum PathError {
    /// A broken escape or a NUL: 400.
    Invalid,
    /// A hidden name: 404, as if it did not exist.
    Hidden,
}

/// Buffers for paths; reused, so that a warm server allocates nothing here.
#[derive(Default)]
pub struct PathBuffers {
    decoded: Vec<u8>,
    canonical: Vec<u8>,
}

impl PathBuffers {
    /// Decodes `raw` into its canonical form: a slash, names separated by single slashes, and a
    /// trailing slash for a directory.
    ///
    /// # Errors
    /// See [`PathError`].
    pub fn canonical(&mut self, raw: &[u8], dotfiles: bool) -> Result<&mut Vec<u8>, PathError> {
        self.decoded.clear();
        http::target::decode_path(raw, &mut self.decoded).map_err(|_| PathError::Invalid)?;
        canonical(&self.decoded, dotfiles, &mut self.canonical)?;
        Ok(&mut self.canonical)
    }

    /// Takes a buffer back.
    pub fn keep(&mut self, canonical: Vec<u8>) {
        self.canonical = canonical;
    }
}

/// Writes the canonical form of a decoded path.
fn canonical(decoded: &[u8], dotfiles: bool, out: &mut Vec<u8>) -> Result<(), PathError> {
    out.clear();
    if decoded.contains(&0) {
        return Err(PathError::Invalid);
    }
    for name in decoded.split(|&byte| byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => return Err(PathError::Invalid),
            WELL_KNOWN if out.is_empty() => push(out, name),
            _ if name.starts_with(b".") && !dotfiles => return Err(PathError::Hidden),
            _ => push(out, name),
        }
    }
    if out.is_empty() || decoded.ends_with(b"/") || decoded.ends_with(b"/.") {
        out.push(b'/');
    }
    Ok(())
}

fn push(out: &mut Vec<u8>, name: &[u8]) {
    out.push(b'/');
    out.extend_from_slice(name);
}

/// What the openers take: a canonical path without the slashes at its ends.
pub fn relative(canonical: &[u8]) -> &[u8] {
    let path = canonical.strip_prefix(b"/").unwrap_or(canonical);
    path.strip_suffix(b"/").unwrap_or(path)
}

/// Whether a canonical path asks for a directory.
pub fn is_directory(canonical: &[u8]) -> bool {
    canonical.ends_with(b"/")
}

/// Unreserved characters and the slash stay; everything else is escaped, which is always valid.
const ESCAPED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// A path as part of a URI (RFC 3986, section 2.1).
pub fn encode(path: &[u8]) -> String {
    percent_encode(path, ESCAPED).to_string()
}

/// The `Location` for a directory that was requested without its slash. Made from the canonical
/// path, so that it can never begin with `//` and name another host.
pub fn location(canonical: &[u8], query: Option<&[u8]>) -> Vec<u8> {
    let mut location = encode(canonical).into_bytes();
    location.push(b'/');
    if let Some(query) = query {
        location.push(b'?');
        location.extend_from_slice(query);
    }
    location
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canonical_of(raw: &[u8], dotfiles: bool) -> Result<Vec<u8>, PathError> {
        PathBuffers::default().canonical(raw, dotfiles).map(|path| path.clone())
    }

    #[test]
    fn spellings_of_one_file_come_to_one_path() {
        for raw in [
            &b"/a/b.html"[..],
            b"//a///b.html",
            b"/./a/./b.html",
            b"/x/../a/b.html",
            b"/%61/b%2ehtml",
            b"/../../a/b.html",
            b"/a/%2e%2e/a/b.html",
            b"/a%2Fb.html",
        ] {
            let name = raw.escape_ascii();
            assert_eq!(canonical_of(raw, false).as_deref(), Ok(&b"/a/b.html"[..]), "{name}");
        }
    }

    #[test]
    fn a_slash_at_the_end_is_kept() {
        for (raw, path) in
            [("/", "/"), ("/a/", "/a/"), ("//a//", "/a/"), ("/a/.", "/a/"), ("/a/..", "/")]
        {
            assert_eq!(
                canonical_of(raw.as_bytes(), false).as_deref(),
                Ok(path.as_bytes()),
                "{raw}"
            );
        }
    }

    #[test]
    fn hidden_names_show_only_when_asked_for() {
        for raw in [&b"/.git/config"[..], b"/a/.htpasswd", b"/%2egit", b"/...", b"/a/..b/c"] {
            assert_eq!(canonical_of(raw, false), Err(PathError::Hidden), "{}", raw.escape_ascii());
            assert!(canonical_of(raw, true).is_ok());
        }
    }

    #[test]
    fn the_well_known_directory_shows_but_no_hidden_name_below_it_nor_elsewhere() {
        for path in ["/.well-known/acme-challenge/x", "/.well-known", "/.well-known/"] {
            assert_eq!(canonical_of(path.as_bytes(), false).as_deref(), Ok(path.as_bytes()));
        }
        assert!(canonical_of(b"//%2ewell-known/x", false).is_ok());
        for raw in
            [&b"/.well-known/.x"[..], b"/a/.well-known/x", b"/.well-known-x", b"/.Well-Known/x"]
        {
            assert_eq!(canonical_of(raw, false), Err(PathError::Hidden), "{}", raw.escape_ascii());
        }
    }

    #[test]
    fn nul_and_broken_escapes_are_refused() {
        for raw in [&b"/a%00b"[..], b"/%zz", b"/%", b"/%4"] {
            assert_eq!(canonical_of(raw, true), Err(PathError::Invalid), "{}", raw.escape_ascii());
        }
    }

    #[test]
    fn a_location_stays_on_this_host() {
        let path = canonical_of(b"//evil.example/..//%2Fevil.example", false).unwrap();
        assert_eq!(location(&path, None), b"/evil.example/");
        assert_eq!(location(b"/a b\r\n\\", Some(b"x=1")), b"/a%20b%0D%0A%5C/?x=1");
    }

    proptest! {
        #[test]
        fn no_path_leaves_the_root(
            raw in "/(\\.|/|%2[eEfF]|%5c|a|\\\\|%00|%25){0,24}", dotfiles: bool,
        ) {
            if let Ok(path) = canonical_of(raw.as_bytes(), dotfiles) {
                prop_assert!(path.starts_with(b"/") && !path.starts_with(b"//"));
                let relative = relative(&path);
                let mut names = relative.split(|&byte| byte == b'/');
                let plain = names.all(|name| !matches!(name, b"" | b"." | b".."));
                prop_assert!(relative.is_empty() || plain);
                prop_assert!(!path.contains(&0));
                if !dotfiles {
                    prop_assert!(path.split(|&byte| byte == b'/').all(|n| !n.starts_with(b".")));
                }
                // The canonical form of a canonical form is itself.
                prop_assert_eq!(canonical_of(encode(&path).as_bytes(), dotfiles), Ok(path));
            }
        }
    }
}
