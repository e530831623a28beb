//! Beside httparse: whatever is accepted here is accepted there, and understood in the same way.
//! (Not the other way round: httparse is more lenient, on purpose.)
#![no_main]

use http::{Connection, Event, Head, Limits};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let limits = Limits::default();
    let (mut connection, mut head) = (Connection::new(), Head::new(&limits));
    let Ok(step) = connection.next(input, &mut head, &limits) else {
        return;
    };
    if step.event != Event::Head {
        return;
    }
    let request = head.request(input);
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut other = httparse::Request::new(&mut headers);
    let status = match other.parse(input) {
        // Higher minor versions, which it does not know.
        Err(httparse::Error::Version) => return,
        status => status.expect("httparse accepts it as well"),
    };
    assert_eq!(status, httparse::Status::Complete(step.consumed));
    assert_eq!(other.method.map(str::as_bytes), Some(request.method_text()));
    assert_eq!(other.path.map(str::as_bytes), Some(request.target()));
    let theirs = other.headers.iter().map(|field| (field.name.as_bytes(), field.value));
    assert!(theirs.eq(request.fields()));
});
