//! A request that its conversation could not answer at once: which call of the application it needs,
//! where its bytes are, and what came of it.
//!
//! ```text
//! feed ──► PendingRequest ──► inline, a job, or this thread ──► Outcome ──► Session::answered
//! ```

use std::fmt;
use std::time::Duration;

use crate::app::response::Finished;

/// The call of the application that a request needs next.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Call {
    /// [`App::handle`](crate::app::App::handle), and `work` if that asks for it.
    Handle,
    /// [`App::resume`](crate::app::App::resume), after a wait.
    Resume,
    /// [`App::work`](crate::app::App::work).
    Work,
}

/// Where the request's bytes are.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// In the input, from the first byte that was not consumed: the head, and a body behind it.
    Input {
        /// Bytes of the head.
        head_len: u32,
        /// Bytes of the body.
        body_len: u32,
    },
    /// With the conversation: see [`SavedRequest`].
    Saved,
}

/// A request that the driver is to have answered where that may take its time.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct PendingRequest {
    /// What it needs.
    pub call: Call,
    /// `handle` has asked for the connection's end already.
    pub close: bool,
    /// Where it is.
    pub place: Place,
}

impl PendingRequest {
    /// Bytes of the input that it takes up.
    pub fn input_len(&self) -> usize {
        match self.place {
            Place::Input { head_len, body_len } => head_len as usize + body_len as usize,
            Place::Saved => 0,
        }
    }
}

/// The bytes of a request whose buffer has moved on: its head and, if collected, its body.
#[derive(Default)]
pub struct SavedRequest {
    bytes: Vec<u8>,
    head_len: usize,
}

impl SavedRequest {
    /// Copies a head and what there is of its body.
    pub fn new(head: &[u8], body: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(head.len() + body.len());
        bytes.extend_from_slice(head);
        bytes.extend_from_slice(body);
        SavedRequest { bytes, head_len: head.len() }
    }

    /// The head.
    pub fn head(&self) -> &[u8] {
        &self.bytes[..self.head_len]
    }

    /// The body, as far as it has come.
    pub fn body(&self) -> &[u8] {
        &self.bytes[self.head_len..]
    }

    /// More of the body.
    pub fn push(&mut self, data: &[u8]) {
        self.bytes.extend_from_slice(data);
    }

    /// Bytes of memory that it is accounted with.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// Bytes of a request line that a message shows.
const LINE_BYTES_MAX: usize = 80;

/// The line of a request that begins with these bytes, for a message to the operator.
pub fn request_line(head: &[u8]) -> impl fmt::Display {
    let end = head.iter().take(LINE_BYTES_MAX).position(|&byte| matches!(byte, b'\r' | b'\n'));
    head[..end.unwrap_or(LINE_BYTES_MAX.min(head.len()))].escape_ascii()
}

/// What has become of a call.
#[derive(Debug, Default)]
pub enum Outcome {
    /// Nothing: its worker came to no end.
    #[default]
    Nothing,
    /// A response is in the output.
    Answered(Finished),
    /// The application wants a time to pass.
    Waits(Duration),
}
