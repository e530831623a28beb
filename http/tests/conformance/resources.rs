//! Ranges and conditions. Their meaning is up to the application; here they are shown to reach it
//! as they were sent.

use stampede_http::{Connection, Event, FieldName, FieldNames, Head, Limits};

/// The row, the method, and the lines after `Host`.
pub const VALUES: [(&str, &str, &str); 37] = [
    ("RA-01", "GET", "Range: bytes=0-4"),
    ("RA-02", "GET", "Range: bytes=-5"),
    ("RA-03", "GET", "Range: bytes=45-"),
    ("RA-04", "GET", "Range: bytes=0-999"),
    ("RA-05", "GET", "Range: bytes=50-"),
    ("RA-06", "GET", "Range: bytes=abc"),
    ("RA-07", "GET", "Range: bytes=5-2"),
    ("RA-08", "GET", "Range: frobs=0-4"),
    ("RA-09", "POST", "Range: bytes=0-4\r\nContent-Length: 0"),
    ("RA-10", "GET", "Range: bytes=0-1,4-5"),
    ("RA-11", "GET", "Range: bytes=0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-"),
    ("RA-12", "GET", "Range: bytes=0-4\r\nIf-Range: \"tag\""),
    ("RA-13", "GET", "Range: bytes=0-4\r\nIf-Range: \"other\""),
    ("RA-14", "GET", "Range: bytes=0-4\r\nIf-Range: W/\"tag\""),
    ("RA-15", "GET", "Range: bytes=0-4\r\nIf-Range: Thu, 01 Jan 2026 00:00:00 GMT"),
    ("RA-16", "HEAD", "Range: bytes=0-4"),
    ("RA-17", "GET", "Range: bytes=-0"),
    ("RA-18", "GET", "Range: bytes=99999999999999999999-"),
    ("CN-01", "GET", "If-None-Match: \"tag\""),
    ("CN-02", "GET", "If-None-Match: *"),
    ("CN-03", "GET", "If-None-Match: \"x\", \"tag\", \"y\""),
    ("CN-04", "GET", "If-None-Match: W/\"tag\""),
    ("CN-05", "GET", "If-None-Match: \"nope\""),
    ("CN-06", "GET", "If-None-Match: \"nope\"\r\nIf-Modified-Since: Thu, 01 Jan 2026 00:00:00 GMT"),
    ("CN-07", "GET", "If-Modified-Since: Thu, 01 Jan 2026 00:00:00 GMT"),
    ("CN-08", "GET", "If-Modified-Since: Thu, 01 Jan 2015 00:00:00 GMT"),
    ("CN-09", "GET", "If-Modified-Since: yesterday"),
    ("CN-10", "GET", "If-Modified-Since: Thursday, 01-Jan-26 00:00:00 GMT"),
    ("CN-11", "GET", "If-Modified-Since: Thu Jan  1 00:00:00 2026"),
    ("CN-12", "GET", "If-Match: \"nope\""),
    ("CN-13", "GET", "If-Match: *"),
    ("CN-14", "GET", "If-Match: W/\"tag\""),
    ("CN-15", "GET", "If-Unmodified-Since: Thu, 01 Jan 2015 00:00:00 GMT"),
    ("CN-16", "GET", "If-Match: \"tag\"\r\nIf-Unmodified-Since: Thu, 01 Jan 2015 00:00:00 GMT"),
    ("CN-17", "GET", "Range: bytes=0-4\r\nIf-None-Match: \"tag\""),
    ("CN-18", "HEAD", "If-None-Match: \"tag\""),
    ("CN-19", "GET", "If-None-Match: \"tag\""),
];

const CONDITIONAL: FieldNames = FieldNames::of(&[
    FieldName::Range,
    FieldName::IfRange,
    FieldName::IfMatch,
    FieldName::IfNoneMatch,
    FieldName::IfModifiedSince,
    FieldName::IfUnmodifiedSince,
]);

#[test]
fn ranges_and_conditions_reach_the_application_as_they_were_sent() {
    let limits = Limits::default();
    let mut head = Head::new(&limits);
    for (id, method, lines) in VALUES {
        let input = format!("{method} /index.html HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n\r\n");
        let mut connection = Connection::new();
        let step = connection.next(input.as_bytes(), &mut head, &limits).expect(id);
        assert_eq!((step.event, step.consumed), (Event::Head, input.len()), "{id}");
        let request = head.request(input.as_bytes());
        assert_eq!(request.method_text(), method.as_bytes(), "{id}");
        assert!(request.has_any(CONDITIONAL) && connection.persists(), "{id}");
        for line in lines.split("\r\n") {
            let (name, value) = line.split_once(": ").expect("a field");
            assert_eq!(
                request.field(FieldName::of(name.as_bytes())),
                Some(value.as_bytes()),
                "{id}"
            );
        }
    }
}
