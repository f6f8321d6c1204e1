//! What is published in a committed transaction reaches Kafka, in order, every time, and nothing else does.
//! Each file has one side of it; the judge is the ledger of who published.

mod backlog;
mod failover;
mod interleaved;
mod lease;
mod million;
mod own_database;
mod publishing;
mod records;
mod restored;
mod retention;
mod set_aside;
mod shards;
mod waking;
