//! picohttpparser, by its C interface. On Linux only: a check for another system has no C compiler
//! for it.
//!
//! It comes in two builds, by the features of `picohttpparser-sys`: this one, with SSE4.2 if the
//! crate's feature `sse4` is given on the command line.

use std::ffi::{c_char, c_int};
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::ptr;

use picohttpparser_sys::{phr_chunked_decoder, phr_decode_chunked, phr_header, phr_parse_request};

use super::clock::Work;
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
        // how many there are, and writes to the other pointers only before it returns.
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

/// Its decoder, which works in place: the copies it spoils are made before the clock starts.
pub struct InPlace<'a> {
    body: &'a [u8],
    copies: Vec<u8>,
}

impl<'a> InPlace<'a> {
    pub fn new(body: &'a [u8]) -> Self {
        InPlace { body, copies: Vec::new() }
    }
}

impl Work for InPlace<'_> {
    fn prepare(&mut self, times: usize) {
        self.copies.clear();
        for _ in 0..times {
            self.copies.extend_from_slice(self.body);
        }
    }

    fn run(&mut self, times: usize) {
        for copy in self.copies.chunks_exact_mut(self.body.len()).take(times) {
            let mut len = copy.len();
            // SAFETY: it moves bytes within the `len` ones of `copy`, and then sets `len` to how
            // many are left. All zeros is a decoder at its start: the C header requires that.
            let left = unsafe {
                let mut decoder = MaybeUninit::<phr_chunked_decoder>::zeroed().assume_init();
                decoder.consume_trailer = 1;
                phr_decode_chunked(&mut decoder, copy.as_mut_ptr().cast(), &mut len)
            };
            assert_eq!(left, 0, "picohttpparser: the body is all there");
            black_box(&copy[..len]);
        }
    }
}
