//! What the server's own pages have in common: the document, its policy, its fields.
//!
//! A page is one document: style and script are inline, nothing is fetched from anywhere else. Its
//! `Content-Security-Policy` allows only these two texts, by their digests, so that markup injected
//! into a page could neither run nor restyle it. In addition, all text that is not a constant of
//! this program goes through [`text::escape`].
//!
//! Links are relative: the pages work behind a proxy that puts the server under a prefix.

pub(super) mod picture;
pub(super) mod policy;
pub(crate) mod text;

pub(super) use self::policy::Inline;
use self::text::escape;

/// The style of all pages, light and dark.
const STYLE: Inline = Inline {
    text: include_str!("style.css"),
    digest: "sha256-fqwB4qhceml9Vle5qWYU4TLhRYN0r0W5XcX/UY93OFU=",
};

/// A page's `Cache-Control`: current numbers are useless later, and the same address may show
/// another model's welcome page a moment later.
pub(super) const NO_STORE: (&str, &str) = ("Cache-Control", "no-store");
/// The media type of a page.
pub(super) const HTML: (&str, &str) = ("Content-Type", "text/html; charset=utf-8");
/// The type is as declared, whatever the bytes look like.
pub(super) const NOSNIFF: (&str, &str) = ("X-Content-Type-Options", "nosniff");

/// A page's parts.
pub(super) struct Page<'a> {
    /// The title, not yet escaped.
    pub title: &'a str,
    /// Markup for the end of the head, as `<noscript>`.
    pub head: &'a str,
    /// Markup of the body.
    pub body: &'a str,
    /// The script, if there is one: runs when the body is there.
    pub script: Option<&'static Inline>,
}

impl Page<'_> {
    /// The document.
    pub fn document(&self) -> String {
        let Page { title, head, body, script } = self;
        let script = script.map(|script| format!("<script>{}</script>\n", script.text));
        let (style, script) = (STYLE.text, script.unwrap_or_default());
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <title>{}</title>\n<link rel=\"icon\" href=\"{ICON}\">\n\
             <style>{style}</style>\n{head}</head>\n<body>\n{body}{script}</body>\n</html>\n",
            escape(title)
        )
    }
}

/// `Content-Security-Policy` for a page with this script.
pub(super) fn policy(script: Option<&Inline>) -> String {
    policy::policy(&STYLE, script)
}

/// Three running bars, as a data URL: without an icon a browser would request `/favicon.ico`.
const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E\
%3Crect width='16' height='16' rx='4' fill='%23c2410c'/%3E\
%3Cpath d='M3 5h7M5 8h8M3 11h5' stroke='white' stroke-width='2' stroke-linecap='round'/%3E%3C/svg%3E";

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: Inline = Inline { text: "let a;", digest: "" };

    #[test]
    fn a_document_escapes_its_title_and_holds_its_parts() {
        let page = Page { title: "a<b", head: "", body: "<p>x</p>\n", script: Some(&SCRIPT) };
        let document = page.document();
        assert!(document.contains("<title>a&lt;b</title>"));
        assert!(document.contains("<body>\n<p>x</p>\n<script>let a;</script>\n</body>"));
    }

    #[test]
    fn the_styles_digest_is_right() {
        policy::tests::digest_is_right(&STYLE);
    }

    #[test]
    fn neither_style_nor_script_could_end_its_own_element() {
        for text in [STYLE.text, include_str!("status.js")] {
            assert!(!text.contains("</") && !text.contains("<!--") && !text.contains('\r'));
        }
    }
}
