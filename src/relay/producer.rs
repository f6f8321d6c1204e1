//! The client at hand and the channel that its reports come on. Each client has its own: reports of one that
//! was closed may still come, and would be taken for those of the next.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::config;
use crate::kafka::sender::{Delivered, Pace, Sender};
use rules::first_ack_gate::Trust;
use rules::problem::Problem;

/// How long closing a client may take.
const CLOSE: Duration = Duration::from_secs(5);

pub(super) struct Line {
    pub(super) sender: Sender,
    pub(super) pace: Pace,
    /// Which keys may have more than one message on their way.
    pub(super) trust: Trust,
    reports: mpsc::UnboundedReceiver<Delivered>,
}

impl Line {
    pub(super) fn open(kafka: &config::Kafka, pace: Pace) -> Result<Line, Problem> {
        let (to_us, reports) = mpsc::unbounded_channel();
        Ok(Line {
            sender: Sender::new(kafka, pace, to_us)?,
            pace,
            trust: Trust::default(),
            reports,
        })
    }

    /// The next report. Waits for ever if the client is gone and has said everything.
    pub(super) async fn report(&mut self) -> Delivered {
        match self.reports.recv().await {
            Some(report) => report,
            None => std::future::pending().await,
        }
    }

    /// A report that has come.
    pub(super) fn ready(&mut self) -> Option<Delivered> {
        self.reports.try_recv().ok()
    }

    /// Closes the client, and returns what it still had to say.
    pub(super) async fn close(mut self) -> Vec<Delivered> {
        self.sender.close(CLOSE).await;
        std::iter::from_fn(|| self.reports.try_recv().ok()).collect()
    }
}
