//! makegood: a payment that succeeded becomes exactly one purchase.
//!
//! Data flows one way, and no layer looks back up:
//!
//! ```text
//! main → cli → daemon → { loops, http → overview } → { store, kafka } → rules
//! ```
//!
//! * [`rules`] have no I/O, no clock and no randomness: decoding, batching, start positions,
//!   what an error means, health.
//! * [`store`] is everything PostgreSQL, [`kafka`] everything Kafka; they never see each other. These and [`config`] are
//!   crates of their own.
//! * [`ingest`] and [`relay`] are the loops that join them, [`reconcile`] compares payments with
//!   purchases, [`replay`] takes records out of quarantine; [`daemon`] starts, supervises and stops them.
//! * [`watchdog`] looks at [`progress`], which the loops show of themselves, and mends what is stuck.
//! * [`doctor`] looks at everything they rest on, and changes nothing; [`shadow`] compares what another worker does.
//! * [`overview`] joins what the databases and Kafka say into one picture, [`http`] and `makegood status` show
//!   it, [`mod@explain`] the life of one payment; [`mod@alert`] tells somebody; [`meter`] counts, [`log_tail`] keeps the last
//!   lines of the log and [`heartbeats`] signs of life, for every layer to use; [`mod@start_gate`] says whether a route
//!   may apply anything yet, [`mod@stop`] how long a loop may go on when the daemon stops.
//! * [`trace`] makes spans of what the loops did, where it is built with them; [`http_client`] makes HTTP requests.

pub mod alert;
pub mod cli;
pub mod control;
pub mod daemon;
pub mod doctor;
pub mod explain;
pub mod http;
pub mod ingest;
pub mod isolate;
pub mod log_tail;
pub mod overview;
pub mod reconcile;
pub mod relay;
pub mod replay;
mod retention;
pub mod shadow;
pub mod stop;
pub mod trace;
pub mod watchdog;

pub use outbound::{command, http_client};
pub use telemetry::{heartbeats, meter, progress, start_gate};
pub use {config, kafka, store};
