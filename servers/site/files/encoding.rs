//! Content codings and `Accept-Encoding` (RFC 9110, section 12.5.3), sans-IO.
//!
//! A file may have compressed siblings (`app.js.br`, `app.js.zst`, `app.js.gz`). The client's
//! weights select one of them; among equals, the one that is usually smallest.

/// A coding a file can be stored in.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Coding {
    /// As it is.
    Identity,
    /// Brotli (RFC 7932).
    Brotli,
    /// Zstandard (RFC 8878).
    Zstd,
    /// gzip (RFC 1952).
    Gzip,
}

impl Coding {
    /// All of them.
    pub const ALL: [Coding; 4] = [Coding::Identity, Coding::Brotli, Coding::Zstd, Coding::Gzip];
    /// The codings of siblings, the preferred first.
    pub const COMPRESSED: [Coding; 3] = [Coding::Brotli, Coding::Zstd, Coding::Gzip];

    /// The registered name, for `Content-Encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Coding::Identity => "identity",
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
            Coding::Gzip => "gzip",
        }
    }

    /// The suffix of a sibling's file name.
    pub fn suffix(self) -> &'static str {
        match self {
            Coding::Identity => "",
            Coding::Brotli => ".br",
            Coding::Zstd => ".zst",
            Coding::Gzip => ".gz",
        }
    }

    fn of_name(name: &[u8]) -> Option<Coding> {
        let is = |coding: &Coding| name.eq_ignore_ascii_case(coding.name().as_bytes());
        match Coding::ALL.iter().find(|coding| is(coding)) {
            Some(coding) => Some(*coding),
            // The old name is equivalent to the new one (section 8.4.1.3).
            None => name.eq_ignore_ascii_case(b"x-gzip").then_some(Coding::Gzip),
        }
    }
}

/// The weight of each coding, in thousandths; 0 is refused.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Weights([u16; 4]);

/// A weight that was not given: sorts as 0, but does not refuse identity.
const UNSAID: u16 = u16::MAX;

impl Weights {
    /// The lines of `Accept-Encoding`, joined. No line: only identity.
    pub fn of<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut said = [UNSAID; 4];
        let mut others = UNSAID;
        for element in lines.flat_map(|line| line.split(|&byte| byte == b',')) {
            let mut parts = element.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
            let name = parts.next().unwrap_or_default();
            let weight = parts.next().map_or(1000, weight);
            if name == b"*" {
                others = weight;
            } else if let Some(coding) = Coding::of_name(name) {
                said[coding as usize] = weight;
            }
        }
        Weights::complete(said, others)
    }

    fn complete(mut said: [u16; 4], others: u16) -> Self {
        for coding in Coding::ALL {
            let weight = &mut said[coding as usize];
            *weight = match (*weight, others, coding) {
                // Identity is always acceptable unless refused, but the client did not ask for it.
                (UNSAID, UNSAID, Coding::Identity) => 1,
                (UNSAID, UNSAID, _) => 0,
                (UNSAID, others, _) => others,
                (said, _, _) => said,
            };
        }
        Weights(said)
    }

    /// Which of the available codings to send. Identity when none is acceptable: an answer that may
    /// be unreadable is better than a 406.
    pub fn choose(self, available: impl Fn(Coding) -> bool) -> Coding {
        let mut best = (Coding::Identity, self.0[Coding::Identity as usize].max(1));
        for coding in Coding::COMPRESSED.into_iter().rev() {
            let weight = self.0[coding as usize];
            if weight >= best.1 && available(coding) {
                best = (coding, weight);
            }
        }
        best.0
    }
}

/// `q=0.5` in thousandths; an invalid weight counts as a refusal.
fn weight(parameter: &[u8]) -> u16 {
    let Some((b'q' | b'Q', value)) = parameter.split_first() else {
        return 0;
    };
    let Some((b'=', value)) = value.split_first() else {
        return 0;
    };
    let (whole, fraction) = match value {
        [whole] | [whole, b'.'] => (*whole, &[][..]),
        [whole, b'.', fraction @ ..] if fraction.len() <= 3 => (*whole, fraction),
        _ => return 0,
    };
    if !matches!(whole, b'0' | b'1') || !fraction.iter().all(u8::is_ascii_digit) {
        return 0;
    }
    let digit = |index: usize| fraction.get(index).map_or(0, |byte| u16::from(byte - b'0'));
    let thousandths = digit(0) * 100 + digit(1) * 10 + digit(2);
    (u16::from(whole - b'0') * 1000 + thousandths).min(1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chosen(line: &str) -> Coding {
        Weights::of([line.as_bytes()].into_iter()).choose(|_| true)
    }

    #[test]
    fn the_smallest_of_equals_wins() {
        assert_eq!(chosen("gzip, deflate, br, zstd"), Coding::Brotli);
        assert_eq!(chosen("gzip, zstd"), Coding::Zstd);
        assert_eq!(chosen("gzip"), Coding::Gzip);
        assert_eq!(chosen("x-gzip"), Coding::Gzip);
        assert_eq!(chosen("*"), Coding::Brotli);
        assert_eq!(chosen("GZIP;Q=1.000"), Coding::Gzip);
    }

    #[test]
    fn the_clients_weights_come_first() {
        assert_eq!(chosen("gzip;q=1.0, br;q=0.9"), Coding::Gzip);
        assert_eq!(chosen("identity, gzip;q=0.5"), Coding::Identity);
        assert_eq!(chosen("gzip;q=0.001"), Coding::Gzip);
        assert_eq!(chosen("br;q=0, *;q=0.2"), Coding::Zstd);
        assert_eq!(chosen("gzip ; q=0.8 , br ; q=0.2"), Coding::Gzip);
    }

    #[test]
    fn refusal_and_nonsense_leave_the_file_as_it_is() {
        for line in [
            "",
            "identity",
            "gzip;q=0",
            "deflate",
            "br;q=2",
            "br;q=0.1234",
            "br;level=5",
            "*;q=0",
            "identity;q=0",
            ";;,,",
            "gzip;q=",
        ] {
            assert_eq!(chosen(line), Coding::Identity, "{line}");
        }
        assert_eq!(Weights::of([].into_iter()).choose(|_| true), Coding::Identity);
    }

    #[test]
    fn only_what_is_there_is_chosen() {
        let lines = [&b"gzip"[..], b"br"];
        let weights = Weights::of(lines.into_iter());
        assert_eq!(weights.choose(|coding| coding == Coding::Gzip), Coding::Gzip);
        assert_eq!(weights.choose(|_| false), Coding::Identity);
    }

    proptest! {
        #[test]
        fn a_refused_coding_is_never_chosen(lines: Vec<Vec<u8>>, refused in 1usize..4) {
            let coding = Coding::ALL[refused];
            let last = format!("{};q=0", coding.name());
            let lines = lines.iter().map(Vec::as_slice).chain([last.as_bytes()]);
            prop_assert_ne!(Weights::of(lines).choose(|_| true), coding);
        }
    }
}
