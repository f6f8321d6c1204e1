//! How a held topic is tried: with its oldest row, by a client of its own, so that a refusal harms nobody else's
//! messages.

use std::collections::BTreeMap;

use super::client::ProducerClient;
use super::term::{Leader, unreadable};
use crate::kafka::sender::{Delivered, HandOver};
use crate::store::outbox::Row;
use rules::problem::Problem;
use rules::produce_error::ProduceError;
use rules::relay::{Event, Pace, TopicTrial};

/// The client that tries topics, if any are tried, and the rows that it has.
#[derive(Default)]
pub(super) struct Trials {
    client: Option<ProducerClient>,
    rows: BTreeMap<u64, Row>,
}

impl Trials {
    /// The next report; waits for ever where nothing is tried.
    pub(super) async fn report(&mut self) -> Delivered {
        match &mut self.client {
            Some(client) => client.report().await,
            None => std::future::pending().await,
        }
    }

    /// A report that has come.
    pub(super) fn ready(&mut self) -> Option<Delivered> {
        self.client.as_mut()?.ready()
    }
}

impl Leader<'_> {
    /// Tries topics with their oldest rows.
    pub(super) async fn try_topics(&mut self, topics: Vec<String>) -> Result<(), Problem> {
        let client = ProducerClient::open(&self.relay.kafka, Pace::Apart).await?;
        for (token, topic) in (0..).zip(topics) {
            let oldest = self.session.oldest_of(&topic).await.map_err(unreadable)?;
            // None yet: they are in the window, to be parked; or none any more, which the next look finds.
            let Some(row) = oldest else {
                self.trial_ended(topic, None, 0, None).await?;
                continue;
            };
            match client.hand_over(token, &row) {
                Ok(()) => {
                    self.trials.rows.insert(token, row);
                    self.on(Event::Tried(topic)).await?;
                }
                Err(HandOver::Full) => self.trial_ended(topic, None, row.seq, None).await?,
                Err(HandOver::Refused(refusal)) => {
                    self.trial_ended(topic, row.key, row.seq, Some(Err(refusal))).await?;
                }
            }
        }
        self.trials.client = Some(client);
        self.end_empty_trial().await
    }

    /// Notes what became of a row that tries its topic.
    pub(super) async fn note_trial(&mut self, report: Delivered) -> Result<(), Problem> {
        let Some(row) = self.trials.rows.remove(&report.token) else { return Ok(()) };
        self.trial_ended(row.topic, row.key, row.seq, Some(report.outcome)).await?;
        self.end_empty_trial().await
    }

    async fn trial_ended(
        &mut self,
        topic: String,
        key: Option<String>,
        seq: i64,
        outcome: Option<Result<(), ProduceError>>,
    ) -> Result<(), Problem> {
        self.on(Event::TrialEnded(TopicTrial { topic, key, seq, outcome })).await
    }

    async fn end_empty_trial(&mut self) -> Result<(), Problem> {
        if self.trials.rows.is_empty() { self.end_trial().await } else { Ok(()) }
    }

    /// Closes the client once it has said everything; that may take a while, and nobody waits for it.
    pub(super) async fn end_trial(&mut self) -> Result<(), Problem> {
        self.trials.rows.clear();
        if let Some(client) = self.trials.client.take() {
            tokio::spawn(client.close());
        }
        self.on(Event::TrialOver).await
    }
}
