//! The embedded default: private servers, a load with a ledger, the promise made visible.

pub mod footing;
pub mod kafka;
pub mod postgres;
pub mod process;
