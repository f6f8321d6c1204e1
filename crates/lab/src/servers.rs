//! Private servers: a real PostgreSQL and a real Apache Kafka of our own, which cannot outlive us.

pub mod host;
pub mod kafka;
pub mod pgbouncer;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod small_disk;
