//! Any name and value (split at the first NUL) as a response field: refused, or read back by
//! another parser as one field.
#![no_main]

use http::{Status, response};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let cut = input.iter().position(|&byte| byte == 0).unwrap_or(input.len());
    let (name, value) = (&input[..cut], input.get(cut + 1..).unwrap_or(&[]));
    let mut out = Vec::new();
    response::status_line(&mut out, Status::OK);
    if response::field(&mut out, name, value).is_err() {
        return;
    }
    response::content_length(&mut out, input.len() as u64);
    response::end(&mut out);

    let mut headers = [httparse::EMPTY_HEADER; 4];
    let mut read = httparse::Response::new(&mut headers);
    let status = read.parse(&out).expect("what is written is a head");
    assert_eq!(status, httparse::Status::Complete(out.len()));
    assert_eq!((read.code, read.reason), (Some(200), Some("OK")));
    assert_eq!(read.headers.len(), 2);
    assert_eq!(read.headers[0].name.as_bytes(), name);
    let trimmed = value.trim_ascii();
    assert_eq!(read.headers[0].value.trim_ascii(), trimmed);
});
