//! Media types by file name extension (RFC 9110, section 8.3.1).
//!
//! Text types have `charset=utf-8`: files are written in it today, and without it browsers guess.
//! Types not in the table are `application/octet-stream`, which browsers save rather than
//! interpret.

use super::encoding::Coding;

/// The type of unknown files.
const UNKNOWN: &str = "application/octet-stream";

/// The table has no longer extensions.
const EXTENSION_LEN_MAX: usize = 16;

/// Sorted by extension, for the binary search; a test checks that.
const TYPES: &[(&str, &str)] = &[
    ("7z", "application/x-7z-compressed"),
    ("aac", "audio/aac"),
    ("apng", "image/apng"),
    ("atom", "application/atom+xml; charset=utf-8"),
    ("avif", "image/avif"),
    ("bmp", "image/bmp"),
    ("br", UNKNOWN),
    ("bz2", "application/x-bzip2"),
    ("c", "text/plain; charset=utf-8"),
    ("cjs", "text/javascript; charset=utf-8"),
    ("conf", "text/plain; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("deb", "application/vnd.debian.binary-package"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("eot", "application/vnd.ms-fontobject"),
    ("epub", "application/epub+zip"),
    ("flac", "audio/flac"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("h", "text/plain; charset=utf-8"),
    ("htm", "text/html; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/vnd.microsoft.icon"),
    ("ics", "text/calendar; charset=utf-8"),
    ("jar", "application/java-archive"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("jsonld", "application/ld+json"),
    ("jxl", "image/jxl"),
    ("log", "text/plain; charset=utf-8"),
    ("m3u8", "application/vnd.apple.mpegurl"),
    ("m4a", "audio/mp4"),
    ("m4v", "video/mp4"),
    ("map", "application/json"),
    ("markdown", "text/markdown; charset=utf-8"),
    ("md", "text/markdown; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("mkv", "video/matroska"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("mpd", "application/dash+xml; charset=utf-8"),
    ("mpeg", "video/mpeg"),
    ("odp", "application/vnd.oasis.opendocument.presentation"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("oga", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("ogv", "video/ogg"),
    ("opus", "audio/ogg"),
    ("otf", "font/otf"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("ps", "application/postscript"),
    ("py", "text/plain; charset=utf-8"),
    ("rs", "text/plain; charset=utf-8"),
    ("rss", "application/rss+xml; charset=utf-8"),
    ("rtf", "application/rtf"),
    ("sh", "text/plain; charset=utf-8"),
    ("svg", "image/svg+xml; charset=utf-8"),
    ("svgz", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("tgz", "application/gzip"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("toml", "application/toml"),
    ("ts", "video/mp2t"),
    ("ttf", "font/ttf"),
    ("txt", "text/plain; charset=utf-8"),
    ("vtt", "text/vtt; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("wav", "audio/wav"),
    ("weba", "audio/webm"),
    ("webm", "video/webm"),
    ("webmanifest", "application/manifest+json"),
    ("webp", "image/webp"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("xhtml", "application/xhtml+xml; charset=utf-8"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("xml", "application/xml; charset=utf-8"),
    ("xz", "application/x-xz"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("zip", "application/zip"),
    ("zst", "application/zstd"),
];

/// The coding that a file with this name is in by itself: `.svgz` is SVG behind gzip, and its media
/// type is that of what is inside. (A `.tar.gz` is `application/gzip` and has no coding.)
pub fn coding_of_name(path: &[u8]) -> Coding {
    let len = path.len();
    match len.checked_sub(5).map(|start| &path[start..]) {
        Some(end) if end.eq_ignore_ascii_case(b".svgz") => Coding::Gzip,
        _ => Coding::Identity,
    }
}

/// The media type of a file with this name (only the last component of its path counts).
pub fn of_name(path: &[u8]) -> &'static str {
    let name = path.rsplit(|&byte| byte == b'/').next().unwrap_or(path);
    let Some(dot) = name.iter().rposition(|&byte| byte == b'.') else {
        return UNKNOWN;
    };
    let extension = &name[dot + 1..];
    let mut lower = [0u8; EXTENSION_LEN_MAX];
    let Some(lower) = lower.get_mut(..extension.len()) else {
        return UNKNOWN;
    };
    lower.copy_from_slice(extension);
    lower.make_ascii_lowercase();
    match TYPES.binary_search_by(|(known, _)| known.as_bytes().cmp(lower)) {
        Ok(found) => TYPES[found].1,
        Err(_) => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_fits() {
        assert!(TYPES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(TYPES.iter().all(|(extension, _)| extension.len() <= EXTENSION_LEN_MAX));
    }

    #[test]
    fn the_last_extension_counts_in_whatever_case() {
        assert_eq!(of_name(b"a/b.d/index.html"), "text/html; charset=utf-8");
        assert_eq!(of_name(b"A.PNG"), "image/png");
        assert_eq!(of_name(b"x.tar.gz"), "application/gzip");
        assert_eq!(of_name(b"app.js"), "text/javascript; charset=utf-8");
    }

    #[test]
    fn only_svgz_is_in_a_coding_by_itself() {
        for name in [&b"a.svgz"[..], b"a/b.SVGZ"] {
            assert_eq!((coding_of_name(name), of_name(name)), (Coding::Gzip, "image/svg+xml"));
        }
        for name in [&b""[..], b"a.svg", b"x.tar.gz", b"x.tgz", b"svgz"] {
            assert_eq!(coding_of_name(name), Coding::Identity);
        }
    }

    #[test]
    fn what_has_no_known_extension_is_octets() {
        for name in
            [&b""[..], b"Makefile", b"a.b/c", b"x.", b"x.unheard-of-and-far-too-long", b"\xff.\xfe"]
        {
            assert_eq!(of_name(name), UNKNOWN);
        }
    }
}
