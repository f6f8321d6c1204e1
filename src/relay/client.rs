//! A Kafka client and the channel that its reports come on. Each client has its own: reports of one that was closed
//! may still come, and would be taken for those of the next.

use std::time::Duration;

use tokio::sync::mpsc;

use super::message::Texts;
use crate::config;
use crate::kafka::sender::{Delivered, HandOver, Outgoing, Sender};
use crate::stop::blocking;
use crate::store::outbox::Row;
use rules::problem::Problem;
use rules::relay::Pace;

/// How long closing a client may take.
const CLOSE: Duration = Duration::from_secs(5);

pub(super) struct ProducerClient {
    pub(super) sender: Sender,
    reports: mpsc::UnboundedReceiver<Delivered>,
}

impl ProducerClient {
    pub(super) async fn open(kafka: &config::Kafka, pace: Pace) -> Result<ProducerClient, Problem> {
        let (to_us, reports) = mpsc::unbounded_channel();
        let kafka = kafka.clone();
        let sender = blocking(move || Sender::new(&kafka, pace, to_us)).await?;
        Ok(ProducerClient { sender, reports })
    }

    /// Hands a row over; what becomes of it is reported under `token`.
    pub(super) fn hand_over(&self, token: u64, row: &Row) -> Result<(), HandOver> {
        let texts = Texts::of(row);
        let message = Outgoing {
            topic: &row.topic,
            key: row.key.as_deref().map(str::as_bytes),
            value: row.payload.as_bytes(),
            headers: &texts.headers(row),
        };
        self.sender.hand_over(token, &message)
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
