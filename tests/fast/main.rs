//! What needs no server: the shape of the code, and the texts that people read.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod architecture;
mod configuration;
#[path = "../support/document.rs"]
mod document;
mod documents;
#[path = "../support/golden.rs"]
mod golden;
mod help;
#[path = "../support/help_texts.rs"]
mod help_texts;
mod metrics;
mod properties;
