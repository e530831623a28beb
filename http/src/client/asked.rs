//! The requests that are not answered yet, in order.
//!
//! Responses carry no number: the first one answers the first request (RFC 9112, section 9.3.2),
//! and where its body ends depends on that request. Two bits per request suffice, so a connection's
//! whole pipeline is two words:
//!
//! ```text
//! requests    GET  HEAD  GET  CONNECT          first ► lowest bit
//! low          0    1     0    0
//! high         0    0     0    1
//! ```

use std::fmt;

use crate::Method;

/// What a request means for the framing of its response (RFC 9112, section 6.3).
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Asked {
    /// Content, where the status allows any: GET, POST and nearly all others.
    #[default]
    Content,
    /// A head only: HEAD.
    Head,
    /// A tunnel, which begins after any 2xx: CONNECT.
    Tunnel,
    /// Content, or another protocol after a 101: a request with `Upgrade` (RFC 9110, section 7.8)
    /// and any method but the two above.
    Upgrade,
}

impl From<Method> for Asked {
    fn from(method: Method) -> Self {
        match method {
            Method::Head => Asked::Head,
            Method::Connect => Asked::Tunnel,
            _ => Asked::Content,
        }
    }
}

/// More requests than a connection tracks are waiting for their responses.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct TooManyOutstanding;

impl fmt::Display for TooManyOutstanding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} requests are waiting for their responses already", Outstanding::MAX)
    }
}

impl std::error::Error for TooManyOutstanding {}

/// The pending requests, first in first out.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct Outstanding {
    low: u64,
    high: u64,
    count: u8,
}

impl Outstanding {
    pub(super) const MAX: usize = u64::BITS as usize;

    pub(super) const NONE: Outstanding = Outstanding { low: 0, high: 0, count: 0 };

    pub(super) fn push(&mut self, asked: Asked) -> Result<(), TooManyOutstanding> {
        if self.count as usize == Self::MAX {
            return Err(TooManyOutstanding);
        }
        let (low, high) = match asked {
            Asked::Content => (0, 0),
            Asked::Head => (1, 0),
            Asked::Tunnel => (0, 1),
            Asked::Upgrade => (1, 1),
        };
        self.low |= low << self.count;
        self.high |= high << self.count;
        self.count += 1;
        Ok(())
    }

    /// The one that the next response answers.
    pub(super) fn first(&self) -> Option<Asked> {
        match (self.count, self.low & 1, self.high & 1) {
            (0, ..) => None,
            (_, 0, 0) => Some(Asked::Content),
            (_, _, 0) => Some(Asked::Head),
            (_, 0, _) => Some(Asked::Tunnel),
            _ => Some(Asked::Upgrade),
        }
    }

    /// The first one has been answered.
    pub(super) fn pop(&mut self) {
        self.low >>= 1;
        self.high >>= 1;
        self.count = self.count.saturating_sub(1);
    }

    pub(super) fn len(&self) -> usize {
        self.count as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    fn asked() -> impl Strategy<Value = Option<Asked>> {
        prop_oneof![
            Just(None),
            Just(Some(Asked::Content)),
            Just(Some(Asked::Head)),
            Just(Some(Asked::Tunnel)),
            Just(Some(Asked::Upgrade)),
        ]
    }

    proptest! {
        /// `None` takes one out.
        #[test]
        fn requests_come_out_in_the_order_they_went_in(
            steps in proptest::collection::vec(asked(), 0..200),
        ) {
            let (mut bits, mut queue) = (Outstanding::NONE, VecDeque::new());
            for step in steps {
                match step {
                    Some(asked) if queue.len() < Outstanding::MAX => {
                        prop_assert_eq!(bits.push(asked), Ok(()));
                        queue.push_back(asked);
                    }
                    Some(asked) => prop_assert_eq!(bits.push(asked), Err(TooManyOutstanding)),
                    None => {
                        bits.pop();
                        queue.pop_front();
                    }
                }
                prop_assert_eq!((bits.first(), bits.len()), (queue.front().copied(), queue.len()));
            }
        }
    }

    #[test]
    fn the_pipeline_is_full_at_64_and_has_room_again_after_one() {
        let mut outstanding = Outstanding::NONE;
        for _ in 0..Outstanding::MAX {
            outstanding.push(Asked::Upgrade).unwrap();
        }
        assert_eq!(outstanding.push(Asked::Head), Err(TooManyOutstanding));
        outstanding.pop();
        outstanding.push(Asked::Head).unwrap();
        assert_eq!(outstanding.first(), Some(Asked::Upgrade));
    }
}
