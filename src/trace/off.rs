//! In place of the spans where makegood is built without the feature `otel`.

use std::future::{Ready, ready};

use tracing::info;

use super::endpoint;
use crate::config;
use crate::store::inbox::{Applied, ApplyFault, Entry};
use crate::store::outbox::Row;
use rules::problem::Problem;

/// Nothing.
#[derive(Debug)]
pub struct Export;

/// Says that there will be no spans if somebody expects some.
pub fn start() -> Result<Export, Problem> {
    if endpoint().is_some() {
        info!("no spans are exported: this makegood is built without the feature otel");
    }
    Ok(Export)
}

impl Export {
    /// Does nothing.
    pub fn finish(self) -> Ready<()> {
        ready(())
    }
}

/// Nothing.
#[derive(Debug, Default)]
pub struct SendSpans {}

impl SendSpans {
    /// Does nothing.
    pub fn handed_over(&mut self, _: u64, _: &Row) {}

    /// Does nothing.
    pub fn ended(&mut self, _: u64, _: &Row, _: Option<&str>) {}
}

/// Nothing.
#[derive(Debug)]
pub struct BatchSpan;

impl BatchSpan {
    /// Does nothing.
    pub fn begin(_: &[Entry<'_>]) -> BatchSpan {
        BatchSpan
    }

    /// Does nothing.
    pub fn end(self, _: &config::Inbox, _: &[Entry<'_>], _: &Result<Applied, ApplyFault>) {}
}
