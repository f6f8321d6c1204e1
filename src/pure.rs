//! The rules, without I/O, clock or randomness: time and chance come in as arguments.

pub mod place;
pub mod problem;
pub mod record;
