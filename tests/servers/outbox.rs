//! What is published in a committed transaction reaches Kafka, in order, every time, and nothing else does.
//! Each file has one side of it; the judge is the ledger of who published.

mod backlog;
mod clock;
mod copied;
mod failover;
mod interleaved;
mod lease;
mod million;
mod numbers;
mod own_database;
mod parked;
mod publishers;
mod publishing;
mod records;
mod replicated;
mod restored;
mod retention;
mod shards;
mod told;
mod topics;
mod waking;
