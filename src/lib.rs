//! makegood: a payment that succeeded becomes exactly one purchase.
//!
//! Data flows one way, and no layer looks back up:
//!
//! ```text
//! main → cli → daemon → { ingest, relay, reconcile, replay, watchdog } → { store, kafka } → pure
//! ```
//!
//! * [`pure`] has no I/O, no clock and no randomness: decoding, batching, start positions, verdicts.
//! * [`store`] is everything PostgreSQL, [`kafka`] everything Kafka; they never see each other.
//! * [`ingest`] and [`relay`] are the loops that join them, [`reconcile`] compares payments with
//!   purchases, [`replay`] takes records out of quarantine; [`daemon`] starts, supervises and stops them.
//! * [`watchdog`] looks at [`vitals`], which the loops show of themselves, and mends what is stuck.
//! * [`mod@bench`] measures the whole against private servers.
//! * [`demo`] is the embedded default: private servers, a load with a ledger, the promise made visible.

pub mod bench;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod demo;
pub mod ingest;
pub mod kafka;
pub mod pure;
pub mod reconcile;
pub mod relay;
pub mod replay;
pub mod store;
pub mod vitals;
pub mod watchdog;
