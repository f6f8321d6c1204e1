//! What makegood promises, one file a promise, against real PostgreSQL and real Apache Kafka.
//!
//! `bin/test` installs what this needs. Each test has a database, a topic and a group of its own; the
//! servers are shared. The judge is always the ledger of what was sent, never makegood's own tables.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on must say where and stop")]

mod advice;
mod agreement;
mod alert;
mod audit;
mod bombs;
mod commands;
mod commit;
mod contract;
mod crash;
mod database_faults;
mod doctor;
mod documents;
mod drafting;
mod drift;
mod encodings;
mod exactly_once;
mod explain;
mod first_hour;
mod foreign_code;
mod four_eyes;
mod hidden;
mod holds;
mod host_tables;
mod hostile;
mod http;
mod inbox_end;
mod isolation;
mod judging;
mod kafka_logins;
mod mapping_commands;
mod membership;
mod migrating;
mod monitoring;
mod numbers;
mod offsets_commands;
mod outages;
mod outbox;
mod outbox_commands;
#[path = "../browser/mod.rs"]
mod page;
mod parked;
mod payment_examples;
mod payment_roles;
mod plans;
mod pooler;
mod postgres_logins;
mod quarantine;
mod rebalance;
mod reconcile;
mod recovery;
mod refunds;
mod relay_outages;
mod removed;
mod routes;
mod schema;
mod screens;
mod sending;
mod settings;
mod shadow;
mod shutdown;
mod situations;
mod start_positions;
mod statements;
mod story;
#[path = "../support/mod.rs"]
mod support;
mod takeover;
mod timings;
mod tokens;
mod traces;
mod verifying;
mod versions;
mod views;
mod watchdog;
