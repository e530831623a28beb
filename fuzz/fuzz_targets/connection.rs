//! Any bytes under narrow limits, cut in two places. The first six bytes choose limits and cuts.
#![no_main]

#[path = "../../http/tests/common/mod.rs"]
mod common;

use common::feed;
use libfuzzer_sys::fuzz_target;
use stampede_http::Limits;

fuzz_target!(|input: &[u8]| {
    let Some(([head, fields, target, body, first, second], input)) = input.split_first_chunk()
    else {
        return;
    };
    let (head, target) = (64 + *head as usize, 1 + (*target % 63) as usize);
    let limits = Limits::new(head, 1 + (*fields % 8) as usize, target, *body as u64)
        .expect("within bounds")
        .with_trailer((*body).into())
        .with_chunk_extensions((*fields).into());
    let cuts = [*first.min(second) as usize, *first.max(second) as usize];
    assert_eq!(feed(input, &cuts, &limits), feed(input, &[], &limits));
});
