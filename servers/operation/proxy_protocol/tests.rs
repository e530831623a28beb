//! Headers as balancers send them, as they must not, and cut anywhere.

use proptest::prelude::*;

use super::*;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A header of version 2.
fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = (rest.len() as u16).to_be_bytes();
    [SIGNATURE, &[command, family], &length, rest].concat()
}

/// Source 192.0.2.1:56324, destination 198.51.100.7:443.
const V4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 7, 0xDC, 0x04, 0x01, 0xBB];

fn v6() -> Vec<u8> {
    let ip = |last: u8| [0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    [&ip(1)[..], &ip(2), &V4[8..]].concat()
}

fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    [&[kind], &(value.len() as u16).to_be_bytes()[..], value].concat()
}

/// A header with a valid checksum.
fn summed() -> Vec<u8> {
    let mut bytes = v2(0x21, 0x11, &[&V4[..], &tlv(4, b"pad"), &tlv(3, &[0; 4])].concat());
    let end = bytes.len();
    let sum = checksum::with_zeros(&bytes, 0..0).to_be_bytes();
    bytes[end - 4..].copy_from_slice(&sum);
    bytes
}

fn client(text: &str) -> Option<Peer> {
    Some(match text.parse().expect("an address") {
        std::net::SocketAddr::V4(addr) => Peer::V4(*addr.ip(), addr.port()),
        std::net::SocketAddr::V6(addr) => Peer::V6(*addr.ip(), addr.port()),
    })
}

/// Complete headers and their clients.
fn whole() -> Vec<(Vec<u8>, Option<Peer>)> {
    let line = |text: &str| format!("{text}\r\n").into_bytes();
    let (v4, v6_client) = (client("192.0.2.1:56324"), client("[2001:db8::1]:56324"));
    let long = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    vec![
        (line("PROXY TCP4 192.0.2.1 198.51.100.7 56324 443"), v4),
        (line("PROXY TCP4 255.255.255.255 0.0.0.0 65535 0"), client("255.255.255.255:65535")),
        (line("PROXY TCP6 2001:db8::1 2001:DB8::2 56324 443"), v6_client),
        (line("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2"), client("[::ffff:192.0.2.1]:1")),
        (
            line(&format!("PROXY TCP6 {long} {long} 65535 65535")),
            client(&format!("[{long}]:65535")),
        ),
        (line("PROXY UNKNOWN"), None),
        (line(&format!("PROXY UNKNOWN {long} {long} 65535 65535")), None),
        (line("PROXY UNKNOWN \u{e9} whatever  "), None),
        (v2(0x21, 0x11, &V4), v4),
        (v2(0x21, 0x12, &V4), v4),
        (v2(0x21, 0x21, &v6()), v6_client),
        (v2(0x21, 0x22, &v6()), v6_client),
        (v2(0x21, 0x31, &[b'x'; 216]), Some(Peer::Unix)),
        (v2(0x21, 0x11, &[&V4[..], &tlv(2, b"example.org"), &tlv(0xE0, b"")].concat()), v4),
        (v2(0x21, 0x11, &[&V4[..], &tlv(4, &[0; 4096 - 16 - 12 - 3])].concat()), v4),
        (summed(), v4),
        (v2(0x20, 0x00, b""), None),
        (v2(0x20, 0x11, &V4), None),
        (v2(0x20, 0xFF, b"anything"), None),
        (v2(0x21, 0x00, b""), None),
        (v2(0x21, 0x10, b"unspecified transport"), None),
    ]
}

/// Invalid headers, and the reason.
fn broken() -> Vec<(Vec<u8>, Malformed)> {
    use Malformed::*;
    let long = "f".repeat(92);
    let mut wrong_sum = summed();
    *wrong_sum.last_mut().unwrap() ^= 1;
    let mut all: Vec<(Vec<u8>, Malformed)> = [
        ("GET / HTTP/1.1\r\n", Signature),
        ("POST / HTTP/1.1\r\n", Signature),
        ("proxy TCP4 ", Signature),
        ("PROXY\r\n", Signature),
        ("PROXY\tTCP4", Signature),
        ("PROXY \r\n", Words),
        ("PROXY UNKNOWNS\r\n", Words),
        ("PROXY UNKNOWN\n", LineEnd),
        ("PROXY UNKNOWN\rx", LineEnd),
        ("PROXY TCP4 192.0.2.1 198.51.100.7 1 2\n", LineEnd),
        ("PROXY TCP4 192.0.2.1 198.51.100.7 1 2 \r\n", Words),
        ("PROXY TCP4 192.0.2.1 198.51.100.7 1\r\n", Words),
        ("PROXY TCP4  192.0.2.1 198.51.100.7 1 2\r\n", Words),
        ("PROXY TCP4 192.0.2.1 198.51.100.7 01 2\r\n", Words),
        ("PROXY TCP4 192.0.2.1 198.51.100.7 +1 2\r\n", Words),
        ("PROXY TCP4 192.0.2.1 198.51.100.7 1 65536\r\n", Words),
        ("PROXY TCP4 192.0.2.01 198.51.100.7 1 2\r\n", Words),
        ("PROXY TCP4 192.0.2 198.51.100.7 1 2\r\n", Words),
        ("PROXY TCP4 ::1 ::2 1 2\r\n", Words),
        ("PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n", Words),
        ("PROXY TCP6 ::1 192.0.2.2 1 2\r\n", Words),
        ("PROXY TCP6 [::1] ::2 1 2\r\n", Words),
        ("PROXY UDP4 192.0.2.1 198.51.100.7 1 2\r\n", Words),
        ("PROXY tcp4 192.0.2.1 198.51.100.7 1 2\r\n", Words),
    ]
    .map(|(text, why)| (text.as_bytes().to_vec(), why))
    .to_vec();
    all.extend([
        (format!("PROXY UNKNOWN {long}\r\n").into_bytes(), LineEnd),
        (b"\r\n\r\nGET / HTTP/1.1\r\n".to_vec(), Signature),
        (v2(0x11, 0x11, &V4), Command),
        (v2(0x31, 0x11, &V4), Command),
        (v2(0x22, 0x11, &V4), Command),
        (v2(0x21, 0x13, &V4), Family),
        (v2(0x21, 0x41, &V4), Family),
        (v2(0x21, 0x11, &V4[..11]), Length),
        (v2(0x21, 0x21, &V4), Length),
        (v2(0x21, 0x31, &[0; 215]), Length),
        (v2(0x20, 0x00, &[0; 4081]), Length),
        (v2(0x21, 0x11, &[&V4[..], &[4]].concat()), Tlv),
        (v2(0x21, 0x11, &[&V4[..], &[4, 0, 2, 0]].concat()), Tlv),
        (v2(0x21, 0x11, &[&V4[..], &tlv(3, &[0; 3])].concat()), Tlv),
        (wrong_sum, Checksum),
    ]);
    all
}

#[test]
fn complete_headers_give_client_and_length_with_or_without_further_data() {
    for (bytes, client) in whole() {
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        let expected = Ok(Some(Header { len: bytes.len(), client }));
        assert_eq!(parse(&bytes), expected, "{shown}");
        let followed = [&bytes[..], b"GET / HTTP/1.1\r\n\r\n"].concat();
        assert_eq!(parse(&followed), expected, "{shown}");
    }
}

#[test]
fn a_header_that_is_cut_anywhere_is_not_complete() {
    for (bytes, _) in whole() {
        for cut in 0..bytes.len() {
            assert_eq!(parse(&bytes[..cut]), Ok(None), "{cut} of {bytes:?}");
        }
    }
}

#[test]
fn invalid_headers_are_refused_and_stay_refused() {
    for (bytes, why) in broken() {
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        assert_eq!(parse(&bytes), Err(why), "{shown}");
        // Refused from some byte on, always for the same reason, and never accepted before.
        let mut refused = false;
        for cut in 0..=bytes.len() {
            match parse(&bytes[..cut]) {
                Ok(None) => assert!(!refused, "{shown}"),
                Err(found) => {
                    refused = true;
                    assert_eq!(found, why, "{shown}");
                }
                Ok(Some(header)) => panic!("{shown}: {header:?}"),
            }
        }
    }
}

#[test]
fn invalid_headers_are_refused_at_the_first_wrong_byte() {
    for (bytes, len) in [
        (b"G".to_vec(), 1),
        (b"PROXX".to_vec(), 5),
        (b"\r\n\r\nG".to_vec(), 5),
        (v2(0x22, 0x11, &V4), 13),
        (v2(0x21, 0x13, &V4), 14),
        (v2(0x21, 0x21, &V4), 16),
    ] {
        assert_eq!(parse(&bytes[..len - 1]), Ok(None), "{bytes:?}");
        assert!(parse(&bytes[..len]).is_err(), "{bytes:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_behind_any_beginning_have_one_answer(
        beginning in prop::sample::select(vec![
            b"".to_vec(), b"PROXY ".to_vec(), b"PROXY TCP4 1.2.3.4 ".to_vec(), SIGNATURE.to_vec(),
            v2(0x21, 0x11, &V4)[..14].to_vec(),
        ]),
        rest in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let bytes = [beginning, rest].concat();
        let all = parse(&bytes);
        for cut in 0..bytes.len() {
            match parse(&bytes[..cut]) {
                Ok(None) => {}
                known => prop_assert_eq!(known, all),
            }
        }
        if let Ok(Some(header)) = all {
            prop_assert!(header.len <= bytes.len().min(HEADER_BYTES_MAX));
        }
    }

    #[test]
    fn every_address_and_port_is_read_in_both_versions(
        v4: [u8; 4], v6: [u8; 16], port: u16,
    ) {
        let (v4, v6) = (std::net::Ipv4Addr::from(v4), std::net::Ipv6Addr::from(v6));
        let of = |bytes: &[u8]| parse(bytes).map(|header| header.and_then(|header| header.client));
        let line = format!("PROXY TCP4 {v4} {v4} {port} {port}\r\n");
        prop_assert_eq!(of(line.as_bytes()), Ok(Some(Peer::V4(v4, port))));
        let line = format!("PROXY TCP6 {v6} {v6} {port} {port}\r\n");
        prop_assert_eq!(of(line.as_bytes()), Ok(Some(Peer::V6(v6, port))));
        let ports = [port.to_be_bytes(); 2].concat();
        let block = [&v4.octets()[..], &[0; 4], &ports].concat();
        prop_assert_eq!(of(&self::v2(0x21, 0x11, &block)), Ok(Some(Peer::V4(v4, port))));
        let block = [&v6.octets()[..], &[0; 16], &ports].concat();
        prop_assert_eq!(of(&self::v2(0x21, 0x21, &block)), Ok(Some(Peer::V6(v6, port))));
    }
}
