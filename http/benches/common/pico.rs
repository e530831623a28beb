//! picohttpparser, by its C interface. On Linux only: a check for another system has no C compiler
//! for it.
//!
//! It comes in two builds, by the features of `picohttpparser-sys`: this one, with SSE4.2 when the
//! crate's feature `sse4` is asked for on the command line.

use std::ffi::{c_char, c_int};
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::ptr;

use picohttpparser_sys::{phr_header, phr_parse_request};

use super::parsers::{FIELDS_MAX, Parser};

pub struct Pico;

impl Parser for Pico {
    const NAME: &str = "picohttpparser";

    #[inline(always)]
    fn head(&mut self, bytes: &[u8]) -> usize {
        let mut slots = [const { MaybeUninit::<phr_header>::uninit() }; FIELDS_MAX];
        let (mut count, mut minor): (usize, c_int) = (FIELDS_MAX, 0);
        let (mut method, mut path): (*const c_char, *const c_char) = (ptr::null(), ptr::null());
        let (mut method_len, mut path_len) = (0, 0);
        // SAFETY: it reads `bytes.len()` bytes from `bytes`, writes at most `count` slots, which is
        // how many there are, and writes to the other places only before it returns.
        let len = unsafe {
            phr_parse_request(
                bytes.as_ptr().cast(),
                bytes.len(),
                &mut method,
                &mut method_len,
                &mut path,
                &mut path_len,
                &mut minor,
                slots.as_mut_ptr().cast(),
                &mut count,
                0,
            )
        };
        black_box((&slots, method, method_len, path, path_len, minor));
        usize::try_from(len).expect("picohttpparser: the head is complete")
    }
}
