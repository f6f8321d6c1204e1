//! What loops show of themselves while they run, and are told: counters, progress, signs of life, and whether a route may
//! begin.

pub mod heartbeats;
pub mod meter;
pub mod progress;
pub mod start_gate;
