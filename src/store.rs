//! Everything PostgreSQL.

pub mod connect;
