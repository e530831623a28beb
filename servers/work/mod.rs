//! Task 3 away from the network: requests that are answered where that may take its time.
//!
//! | file | what |
//! |---|---|
//! | [`request`] | what a conversation leaves to its driver: the call, the bytes, the outcome |
//! | [`executor`] | a place where jobs run, as the loop sees it |
//! | [`job`] | a request (or a part of a file) on its way through an executor |
//! | [`page_cache`] | which parts of a file can be sent without waiting for a disk |
//! | [`threads`] | AMPED's executor: worker threads behind rings |

pub mod executor;
pub mod job;
pub mod page_cache;
pub mod request;
pub mod threads;
