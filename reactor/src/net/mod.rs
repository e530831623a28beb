//! Sockets of the trade: listeners and streams, non-blocking.
