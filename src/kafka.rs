//! Everything Kafka.
