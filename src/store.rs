//! Everything PostgreSQL.
