//! The rules, without I/O, clock or randomness: time and chance come in as arguments.

pub mod backoff;
pub mod batch;
pub mod bisect;
pub mod brake;
pub mod compare;
pub mod envelope;
mod json;
mod numeric;
pub mod offsets;
pub mod pace;
pub mod place;
pub mod problem;
pub mod record;
pub mod refusal;
pub mod rejection;
pub mod sample;
pub mod schedule;
pub mod stall;
pub mod standing;
pub mod trust;
pub mod verdict;
pub mod window;
