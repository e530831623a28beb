//! Between two steps: what a caller may ask of a connection, and what it decides about it.
//!
//! Nothing here looks at the input.

#[cfg(doc)]
use super::Event;
use super::{Connection, Phase};
use crate::error::{Error, ErrorKind};
use crate::head::Version;

impl Connection {
    /// After [`Event::Head`]: whether a body follows, which [`Event::End`] will end. If not, the
    /// request is complete.
    #[inline]
    pub fn body_follows(&self) -> bool {
        matches!(self.phase, Phase::Length(_) | Phase::Chunked(_))
    }

    /// The peer has finished sending, and everything it sent has been fed.
    ///
    /// # Errors
    /// [`ErrorKind::Incomplete`] in the middle of a request, which must then not be acted upon (RFC
    /// 9112, section 8).
    pub fn eof(&self) -> Result<(), Error> {
        let offset = match self.phase {
            Phase::Head { read, .. } if read > 0 => read as usize,
            Phase::Fresh | Phase::Head { .. } | Phase::Length(0) => return Ok(()),
            Phase::Trailers(_) | Phase::Ended | Phase::Failed | Phase::Tunnel => return Ok(()),
            Phase::Length(_) => 0,
            Phase::Chunked(chunked) => chunked.held(),
        };
        Err(Error::new(ErrorKind::Incomplete, offset))
    }

    /// Whether another request may follow this exchange.
    #[inline]
    pub fn persists(&self) -> bool {
        self.persists
    }

    /// After [`Event::Head`]: keeps the trailer section of this request's chunked body until
    /// it is whole, within its limit: it is consumed by the step that gives [`Event::End`], and
    /// found by [`trailers`](Self::trailers). Returns whether it is kept: `false` when no chunked
    /// body is being read, or its end has been reached.
    pub fn keep_trailers(&mut self) -> bool {
        match &mut self.phase {
            Phase::Chunked(chunked) => chunked.keep_trailer(),
            _ => false,
        }
    }

    /// After [`Event::End`], if the [trailer section was kept](Self::keep_trailers): the section,
    /// for [`trailers::fields`](crate::trailers::fields). `consumed` are the bytes that the step has
    /// consumed. Empty in every other case.
    pub fn trailers<'a>(&self, consumed: &'a [u8]) -> &'a [u8] {
        let Phase::Trailers(len) = self.phase else { return &[] };
        consumed.len().checked_sub(len.into()).map_or(&[], |start| &consumed[start..])
    }

    /// The request that was read last is answered by a change of protocol: by a 101 to one with
    /// `Upgrade`, or a 2xx to CONNECT (RFC 9110, sections 7.8 and 9.3.6). From now on the input is
    /// not HTTP: [`next`](Self::next) consumes none of it, and no other request follows.
    ///
    /// Write the head of that response first: afterwards [`connection_line`](Self::connection_line)
    /// says that the connection closes.
    ///
    /// `false`, and nothing has changed: no request has been read, or one is still being read. The
    /// protocol changes behind a whole request, its body included.
    pub fn change_protocol(&mut self) -> bool {
        let nothing_follows = match self.phase {
            Phase::Fresh | Phase::Trailers(_) | Phase::Ended => true,
            // It was called for more, and there was none, nor an empty line.
            Phase::Head { read, .. } => read == 0 && self.empty_lines == 0,
            _ => false,
        };
        let is_behind_one = self.requests > 0 && nothing_follows;
        if is_behind_one {
            self.phase = Phase::Tunnel;
            self.persists = false;
        }
        is_behind_one
    }

    /// Whether the protocol has changed: what is left of the input belongs to another one.
    pub fn has_changed_protocol(&self) -> bool {
        matches!(self.phase, Phase::Tunnel)
    }

    /// Makes this exchange the last one. Its body is still read; what follows is ignored.
    pub fn close(&mut self) {
        self.persists = false;
        if matches!(self.phase, Phase::Fresh) {
            self.phase = Phase::Ended;
        }
    }

    /// Whether the client waits for a 100 (RFC 9110, section 10.1.1): it requested one, none was
    /// sent, a body is expected and none of it has been seen.
    #[inline]
    pub fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    /// The 100 has been sent.
    pub fn continue_sent(&mut self) {
        self.expects_continue = false;
    }

    /// Whether no byte of a request line has been seen since the last request was complete.
    #[inline]
    pub fn is_between_requests(&self) -> bool {
        let is_over = matches!(self.phase, Phase::Ended | Phase::Tunnel);
        is_over
            || matches!(self.phase, Phase::Fresh | Phase::Head { read: 0, .. } | Phase::Trailers(_))
    }

    /// The field line that the response to this exchange needs: that the connection closes, or that
    /// it persists although the client uses HTTP/1.0, or nothing.
    #[inline]
    pub fn connection_line(&self) -> &'static [u8] {
        if self.persists && self.version == Version::Http11 {
            return b"";
        }
        self.connection_line_needed()
    }

    #[cold]
    fn connection_line_needed(&self) -> &'static [u8] {
        match self.persists {
            true => b"Connection: keep-alive\r\n",
            false => b"Connection: close\r\n",
        }
    }

    /// Requests so far whose head was complete.
    #[inline]
    pub fn requests(&self) -> u32 {
        self.requests
    }
}
