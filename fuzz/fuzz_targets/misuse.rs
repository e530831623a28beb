//! Callers that break the contract, on both sides: after `NeedMore` they bring other bytes, or fewer,
//! they call in any order, and change the limits in between. Each byte is a call; the next one says how
//! much of the input goes with it, or which variant is meant. What must hold: no panic, nothing
//! consumed that was not there, and no byte of another protocol.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stampede_http::client::{self, Asked, ResponseHead};
use stampede_http::{Connection, Event, Head, Limits, trailers};

const ASKED: [Asked; 4] = [Asked::Content, Asked::Head, Asked::Tunnel, Asked::Upgrade];

fuzz_target!(|input: &[u8]| {
    serve(input);
    ask(input);
});

fn limits() -> [Limits; 3] {
    let narrow = Limits::new(64, 2, 8, 4).expect("within bounds").with_trailer(0);
    let odd = Limits::new(200, 5, 20, u64::MAX).expect("within bounds").with_trailer(9);
    [Limits::default(), narrow.with_chunk_extensions(0), odd]
}

/// The calls in `input`, each with its number and the bytes that go with it.
fn calls(mut input: &[u8]) -> impl Iterator<Item = (u8, u8, &[u8])> {
    std::iter::from_fn(move || {
        let (&[call, amount], rest) = input.split_first_chunk::<2>()?;
        let (bytes, rest) = rest.split_at(rest.len().min(amount.into()));
        input = rest;
        Some((call % 16, amount, bytes))
    })
}

fn serve(input: &[u8]) {
    let (all, mut chosen) = (limits(), 0);
    let (mut connection, mut head) = (Connection::new(), Head::new(&all[2]));
    let mut last: &[u8] = &[];
    for (call, amount, bytes) in calls(input) {
        match call {
            0 => _ = connection.eof(),
            1 => connection.close(),
            2 => connection.continue_sent(),
            3 => _ = connection.keep_trailers(),
            4 => _ = connection.change_protocol(),
            5 => chosen = usize::from(amount) % all.len(),
            _ => {
                let bytes = if call % 2 == 0 { [last, bytes].concat() } else { bytes.to_vec() };
                let changed = connection.has_changed_protocol();
                let Ok(step) = connection.next(&bytes, &mut head, &all[chosen]) else { continue };
                assert!(step.consumed <= bytes.len() && !(changed && step.consumed > 0));
                if let Event::Data { start, len } = step.event {
                    assert!(len > 0 && start + len <= step.consumed);
                }
                let section = connection.trailers(&bytes);
                let _ = (head.request(&bytes).fields().count(), trailers::fields(section).count());
            }
        }
        last = bytes;
    }
}

fn ask(input: &[u8]) {
    let (all, mut chosen) = (limits(), 0);
    let (mut connection, mut head) = (client::Connection::new(), ResponseHead::new(&all[2]));
    let mut last: &[u8] = &[];
    for (call, amount, bytes) in calls(input) {
        match call {
            0 => _ = connection.eof(),
            1..=3 => _ = connection.sent(ASKED[usize::from(amount) % 4]),
            4 => _ = connection.keep_trailers(),
            5 => chosen = usize::from(amount) % all.len(),
            _ => {
                let bytes = if call % 2 == 0 { [last, bytes].concat() } else { bytes.to_vec() };
                let Ok(step) = connection.next(&bytes, &mut head, &all[chosen]) else { continue };
                assert!(step.consumed <= bytes.len());
                if let client::Event::Data { start, len } = step.event {
                    assert!(len > 0 && start + len <= step.consumed);
                }
                let section = connection.trailers(&bytes);
                let _ = (head.response(&bytes).fields().count(), trailers::fields(section).count());
            }
        }
        last = bytes;
    }
}
