//! The loop from Kafka to PostgreSQL.
