//! JSON (RFC 8259), as much of it as a line of the data file needs.
//!
//! An object keeps the order of its members, so that a line that is read and written again is the
//! same line. JSON has no number that is infinite or undefined: those are written as `null`.

use std::fmt::{self, Write as _};

/// How deep arrays and objects may be nested: reading uses the stack.
const DEPTH_MAX: usize = 32;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// Also a number that JSON cannot express.
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// An object with these members.
    pub fn object<const N: usize>(members: [(&str, Json); N]) -> Json {
        Json::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// An array of what `make` makes of each item.
    pub fn array<T>(items: &[T], make: impl Fn(&T) -> Json) -> Json {
        Json::Array(items.iter().map(make).collect())
    }

    /// The member of this name, if this is an object that has one.
    pub fn get(&self, name: &str) -> Option<&Json> {
        let Json::Object(members) = self else { return None };
        members.iter().find(|(member, _)| member == name).map(|(_, value)| value)
    }

    /// Reads one value that takes the whole text.
    ///
    /// # Errors
    /// What was expected, and at which byte.
    pub fn parse(text: &str) -> Result<Json, String> {
        let mut reader = Reader { text, at: 0 };
        let value = reader.value(0)?;
        reader.space();
        if reader.at < text.len() { Err(reader.expected("the end")) } else { Ok(value) }
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Json {
        Json::Text(text.to_owned())
    }
}

impl From<f64> for Json {
    fn from(number: f64) -> Json {
        if number.is_finite() { Json::Number(number) } else { Json::Null }
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Json::Null => f.write_str("null"),
            Json::Bool(value) => write!(f, "{value}"),
            Json::Number(value) => number(f, *value),
            Json::Text(value) => quoted(f, value),
            Json::Array(items) => {
                f.write_char('[')?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index > 0 { "," } else { "" })?;
                }
                f.write_char(']')
            }
            Json::Object(members) => {
                f.write_char('{')?;
                for (index, (name, value)) in members.iter().enumerate() {
                    f.write_str(if index > 0 { "," } else { "" })?;
                    quoted(f, name)?;
                    write!(f, ":{value}")?;
                }
                f.write_char('}')
            }
        }
    }
}

/// The shortest digits that give the same number when read.
fn number(f: &mut fmt::Formatter<'_>, value: f64) -> fmt::Result {
    match value.abs() {
        _ if !value.is_finite() => f.write_str("null"),
        0.0 | 1e-6..1e16 => write!(f, "{value}"),
        _ => write!(f, "{value:e}"),
    }
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\t' => f.write_str("\\t")?,
            // The last two end a line for some readers of lines.
            c if c.is_control() || c == '\u{2028}' || c == '\u{2029}' => {
                write!(f, "\\u{:04x}", u32::from(c))?;
            }
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn expected(&self, what: &str) -> String {
        format!("expected {what} at byte {}", self.at)
    }

    fn space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    /// Skips space, and then `token` if it comes next.
    fn take(&mut self, token: &str) -> bool {
        self.space();
        let is_next = self.rest().starts_with(token);
        self.at += if is_next { token.len() } else { 0 };
        is_next
    }

    fn need(&mut self, token: &str) -> Result<(), String> {
        if self.take(token) { Ok(()) } else { Err(self.expected(token)) }
    }

    fn value(&mut self, depth: usize) -> Result<Json, String> {
        if depth > DEPTH_MAX {
            return Err(self.expected("less nesting"));
        }
        self.space();
        let words =
            [("null", Json::Null), ("true", Json::Bool(true)), ("false", Json::Bool(false))];
        for (word, value) in words {
            if self.take(word) {
                return Ok(value);
            }
        }
        match self.rest().bytes().next() {
            Some(b'"') => Ok(Json::Text(self.quoted()?)),
            Some(b'[') => self.array(depth),
            Some(b'{') => self.object(depth),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.expected("a value")),
        }
    }

    fn number(&mut self) -> Result<Json, String> {
        let is_part = |c: char| c.is_ascii_digit() || ['-', '+', '.', 'e', 'E'].contains(&c);
        let length = self.rest().find(|c| !is_part(c)).unwrap_or(self.rest().len());
        let number = self.rest()[..length].parse().ok().filter(|number: &f64| number.is_finite());
        let number = number.ok_or_else(|| self.expected("a number"))?;
        self.at += length;
        Ok(Json::Number(number))
    }

    fn array(&mut self, depth: usize) -> Result<Json, String> {
        self.need("[")?;
        let mut items = Vec::new();
        if self.take("]") {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if !self.take(",") {
                self.need("]")?;
                return Ok(Json::Array(items));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, String> {
        self.need("{")?;
        let mut members = Vec::new();
        if self.take("}") {
            return Ok(Json::Object(members));
        }
        loop {
            self.space();
            let name = self.quoted()?;
            self.need(":")?;
            members.push((name, self.value(depth + 1)?));
            if !self.take(",") {
                self.need("}")?;
                return Ok(Json::Object(members));
            }
        }
    }

    fn quoted(&mut self) -> Result<String, String> {
        self.need("\"")?;
        let mut text = String::new();
        loop {
            let c = self.rest().chars().next().ok_or_else(|| self.expected("a closing quote"))?;
            match c {
                '"' => {
                    self.at += 1;
                    return Ok(text);
                }
                '\\' => text.push(self.escaped()?),
                c if c < ' ' => return Err(self.expected("an escaped control character")),
                c => {
                    text.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
    }

    fn escaped(&mut self) -> Result<char, String> {
        let kind = self.rest().as_bytes().get(1).copied();
        self.at += 2;
        match kind {
            Some(b'n') => Ok('\n'),
            Some(b't') => Ok('\t'),
            Some(b'r') => Ok('\r'),
            Some(b'b') => Ok('\u{8}'),
            Some(b'f') => Ok('\u{c}'),
            Some(plain @ (b'"' | b'\\' | b'/')) => Ok(char::from(plain)),
            Some(b'u') => self.unicode(),
            _ => {
                self.at -= 2;
                Err(self.expected("a known escape"))
            }
        }
    }

    /// What follows `\u`; a character beyond the first 65,536 takes two of them.
    fn unicode(&mut self) -> Result<char, String> {
        let first = self.four_digits()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first).ok_or_else(|| self.expected("a character before this"));
        }
        let is_pair = self.rest().starts_with("\\u");
        self.at += if is_pair { 2 } else { 0 };
        let second = if is_pair { self.four_digits()? } else { 0 };
        let code = 0x1_0000 + ((first - 0xd800) << 10) + second.wrapping_sub(0xdc00) % 0x400;
        let whole = char::from_u32(code).filter(|_| (0xdc00..0xe000).contains(&second));
        whole.ok_or_else(|| self.expected("the second half of a character before this"))
    }

    fn four_digits(&mut self) -> Result<u32, String> {
        let digits = self.rest().get(..4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let number = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let number = number.ok_or_else(|| self.expected("four hexadecimal digits"))?;
        self.at += 4;
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::Bool),
            any::<f64>().prop_map(Json::from),
            any::<String>().prop_map(Json::Text),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Json::Array),
                prop::collection::vec((any::<String>(), inner), 0..5).prop_map(Json::Object),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_and_takes_one_line(json in any_json()) {
            let text = json.to_string();
            prop_assert_eq!(text.lines().count(), 1);
            prop_assert_eq!(Json::parse(&text), Ok(json));
        }

        #[test]
        fn no_text_makes_it_panic(text in r#"[\[\]{}":,\\u0-9a-f .eE+-]{0,40}"#) {
            let _ = Json::parse(&text);
        }
    }

    #[test]
    fn what_others_write_is_read() {
        let text = r#" { "a" : [ 1 , -2.5e3 , true ] , "b\u00e9\ud83d\ude00\/" : null } "#;
        let members = [
            ("a", Json::Array(vec![1.0.into(), (-2500.0).into(), Json::Bool(true)])),
            ("b\u{e9}\u{1f600}/", Json::Null),
        ];
        assert_eq!(Json::parse(text), Ok(Json::object(members)));
    }

    #[test]
    fn what_is_no_json_is_refused() {
        let deep = "[".repeat(10_000);
        for wrong in [
            "",
            "{",
            "[1,]",
            "{\"a\"}",
            "tru",
            "1 2",
            "\"a",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\udc00\"",
            "\"\\ud800\\u0041\"",
            "\"\n\"",
            "1e999",
            "--1",
            &deep,
        ] {
            assert!(Json::parse(wrong).is_err(), "{wrong:.20}");
        }
    }

    #[test]
    fn numbers_are_short() {
        let numbers = [0.0, 1.0, 12.5, 1e-9, 1e300, f64::NAN];
        assert_eq!(
            Json::array(&numbers, |&number| number.into()).to_string(),
            "[0,1,12.5,1e-9,1e300,null]"
        );
    }
}
