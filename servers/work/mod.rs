//! Task 3 away from the loop: where a model that does not work inline has its work done.

pub mod threads;
