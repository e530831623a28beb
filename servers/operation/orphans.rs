//! Orphans, which process 1 of a container inherits: no other process waits for them.

use reactor::process::{inherits_orphans, reap_orphans};

/// As process 1: waits for the orphans that have ended. On the first thread, in a process without
/// [`Children`](reactor::process::Children).
pub fn reap() {
    if inherits_orphans() {
        // After a failure, the next one that ends is another occasion.
        let _ = reap_orphans();
    }
}
