//! Who is asked for something beside PostgreSQL and Kafka: programs that the operator names, and HTTP servers.

pub mod command;
pub mod http_client;
