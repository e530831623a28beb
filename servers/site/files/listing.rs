//! The page that lists a directory, with `--autoindex`.
//!
//! It lists what would be served: regular files and directories beneath the root, symlinks to them,
//! and hidden names only with `--dotfiles`. Directories come first, then by name. A directory
//! is read in full before it is shown, so its page is bounded: [`ENTRIES_MAX`].
//!
//! Reading a directory is *work*: it may take a while, and never happens in `handle`.

use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::time::SystemTime;

use reactor::fs::{self, Directory, FileType};

use super::conditional;
use super::open::Opener;
use super::path;
use super::stamp::Stamp;
use crate::site::pages::text::escape;

/// Entries that a page shows at most; about a megabyte of HTML.
const ENTRIES_MAX: usize = 10_000;

struct Entry {
    name: Vec<u8>,
    /// Bytes, of a file.
    size: Option<u64>,
    modified_s: u64,
}

/// The page for the open `directory` at the canonical `path`.
///
/// # Errors
/// Reading's, see `opendir(3)`.
pub fn page(
    opener: &Opener,
    directory: File,
    path: &[u8],
    dotfiles: bool,
    now: SystemTime,
) -> io::Result<String> {
    let (names, more) = names(directory, dotfiles)?;
    let base = path::relative(path);
    let mut entries: Vec<Entry> =
        names.into_iter().filter_map(|name| entry(opener, base, name, now)).collect();
    entries.sort_by(|a, b| (a.size.is_some(), &a.name).cmp(&(b.size.is_some(), &b.name)));
    Ok(render(path, &entries, more))
}

/// The entries of a directory, and whether there are more than are shown.
fn names(directory: File, dotfiles: bool) -> io::Result<(Vec<Vec<u8>>, bool)> {
    let mut directory = Directory::new(directory.into())?;
    let mut names = Vec::new();
    // An error while reading ends the directory early: what was read is shown.
    while let Some(fs::Entry { name, file_type }) = directory.next() {
        let hidden = name.starts_with(b".") && !dotfiles;
        // Special files are never served, so they are not even opened.
        if hidden || matches!(name, b"." | b"..") || file_type == FileType::Special {
            continue;
        }
        if names.len() == ENTRIES_MAX {
            return Ok((names, true));
        }
        names.push(name.to_vec());
    }
    Ok((names, false))
}

/// The entry called `name`, as a request would find it; `None` if it is not served.
fn entry(opener: &Opener, base: &[u8], name: Vec<u8>, now: SystemTime) -> Option<Entry> {
    let path = if base.is_empty() { name.clone() } else { [base, &name].join(&b'/') };
    let metadata = opener.open(&path).ok()?.metadata().ok()?;
    if !metadata.is_file() && !metadata.is_dir() {
        return None;
    }
    let stamp = Stamp::of(&metadata);
    let size = metadata.is_file().then_some(stamp.size);
    Some(Entry { name, size, modified_s: stamp.modified_s(now) })
}

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.3rem;overflow-wrap:anywhere}\
table{border-collapse:collapse;width:100%}\
th,td{text-align:left;padding:.25rem .75rem .25rem 0;border-bottom:1px solid #8884}\
td:first-child{overflow-wrap:anywhere}\
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\
a{text-decoration:none}a:hover{text-decoration:underline}";

fn render(path: &[u8], entries: &[Entry], more: bool) -> String {
    let title = without_tricks(path);
    let title = escape(&title);
    let mut page = String::with_capacity(1024 + entries.len() * 128);
    let _ = write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>Index of {title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>Index of {title}</h1>\n<table>\n<thead><tr><th scope=\"col\">Name</th>\
         <th scope=\"col\" class=\"n\">Size</th><th scope=\"col\" class=\"n\">Modified</th></tr>\
         </thead>\n<tbody>\n"
    );
    if path != b"/" {
        page.push_str("<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n");
    }
    for entry in entries {
        render_row(&mut page, entry);
    }
    page.push_str("</tbody>\n</table>\n");
    if more {
        let _ = writeln!(page, "<p>Only {ENTRIES_MAX} entries are shown; there are more.</p>");
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn render_row(page: &mut String, entry: &Entry) {
    let slash = if entry.size.is_some() { "" } else { "/" };
    // `./` in front: a name with a colon must not read as a scheme.
    let link = path::encode(&entry.name);
    let name = without_tricks(&entry.name);
    let name = escape(&name);
    let size = entry.size.map_or_else(|| "–".to_owned(), readable_size);
    let modified = conditional::date_text(entry.modified_s);
    let _ = writeln!(
        page,
        "<tr><td><a href=\"./{link}{slash}\">{name}{slash}</a></td>\
         <td class=\"n\">{size}</td><td class=\"n\">{modified}</td></tr>"
    );
}

/// `17 B`, `4.2 KiB`, …
fn readable_size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let power = ((bytes.ilog2() / 10) as usize).min(UNITS.len());
    let scaled = bytes as f64 / 1024f64.powi(power as i32);
    format!("{scaled:.1} {}", UNITS[power - 1])
}

/// A name without what has no glyph, or turns the line around: it would only deceive.
fn without_tricks(name: &[u8]) -> String {
    let deceives =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    String::from_utf8_lossy(name).replace(deceives, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_become_markup_or_another_address() {
        let entry = |name: &[u8], size| Entry { name: name.to_vec(), size, modified_s: 0 };
        let entries = [entry(b"javascript:alert(1)", Some(1)), entry(b"\"><script>\xff&'", None)];
        let page = render(b"/<b>/", &entries, false);
        assert!(page.contains("href=\"./javascript%3Aalert%281%29\""));
        assert!(page.contains("href=\"./%22%3E%3Cscript%3E%FF%26%27/\""));
        assert!(page.contains("&quot;&gt;&lt;script&gt;\u{fffd}&amp;&#39;/"));
        assert!(!page.contains("<script>") && !page.contains("<b>"));
    }

    #[test]
    fn sizes_are_readable() {
        let texts = [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (4_404_019, "4.2 MiB")];
        for (bytes, text) in texts {
            assert_eq!(readable_size(bytes), text);
        }
        assert_eq!(readable_size(u64::MAX), "16.0 EiB");
    }
}
