//! Both ends in memory, simulated time.
