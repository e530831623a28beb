//! The `Content-Security-Policy` of a page (Content Security Policy Level 3).
//!
//! An inline style or script is allowed by the digest of its text. The digests stand beside the
//! texts as constants; a test says what they should be.

/// A text that stands inline in a page, and the digest that allows it.
pub(in crate::site) struct Inline {
    pub text: &'static str,
    /// SHA-256 in base64, as a source expression without its quotes.
    pub digest: &'static str,
}

/// Nothing from anywhere, but for this style, this script and what that script asks this server.
pub(super) fn policy(style: &Inline, script: Option<&Inline>) -> String {
    let mut policy = format!(
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         img-src data:; style-src '{}'",
        style.digest
    );
    if let Some(script) = script {
        policy.push_str(&format!("; script-src '{}'; connect-src 'self'", script.digest));
    }
    policy
}

#[cfg(test)]
pub(in crate::site) mod tests {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    use sha2::{Digest as _, Sha256};

    use super::*;

    /// A browser computes the same, and runs nothing that has another.
    #[track_caller]
    pub(in crate::site) fn digest_is_right(inline: &Inline) {
        let digest = BASE64_STANDARD.encode(Sha256::digest(inline.text));
        assert_eq!(inline.digest, format!("sha256-{digest}"), "write the right one");
    }

    #[test]
    fn nothing_inline_is_allowed_but_the_two_texts() {
        let (style, script) = (Inline { text: "", digest: "sha256-A" }, "sha256-B");
        let policy = policy(&style, Some(&Inline { text: "", digest: script }));
        assert!(!policy.contains("unsafe"));
        assert_eq!(policy.matches("'sha256-").count(), 2);
        assert!(policy.starts_with("default-src 'none'; "));
    }
}
