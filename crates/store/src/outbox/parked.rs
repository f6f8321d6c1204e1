//! Rows parked: put there with the cursor that passes them, and sent again when somebody asks.

use rules::diagnosis::{Code, Diagnosis};
use rules::ids::StepNumber;
use rules::relay::{Parking, WaitingTopic};

use super::{Lost, OutboxSession, Row, Saying};
use crate::{Fault, FaultSubject};

impl OutboxSession {
    /// A step, and in the same transaction what became of rows parked: a relay that has lost the shard
    /// changes nothing that the next one has read.
    pub(super) async fn step_parking(
        &self,
        step: StepNumber,
        saying: &Saying,
    ) -> Result<Result<StepNumber, Lost>, Fault> {
        let aside = &saying.step.aside;
        // An error leaves the transaction open; the caller then lets go of the session, which rolls it back.
        self.batch("BEGIN").await?;
        let park = include_str!("../../../../sql/core/outbox_park.sql");
        if self.mark(park, &aside.parking).await? != aside.parking.len() {
            return Err(one_number());
        }
        if !aside.sent_again.is_empty() {
            let unpark = include_str!("../../../../sql/core/outbox_unpark.sql");
            self.query(unpark, &[&aside.sent_again]).await?;
        }
        let again = include_str!("../../../../sql/core/outbox_refuse_again.sql");
        self.mark(again, &aside.refused_again).await?;
        let moved = self.step_alone(step, saying).await?;
        self.batch(if moved.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
        Ok(moved)
    }

    /// The keys of this shard that wait behind a row parked: topic and key.
    pub async fn parked_keys(&self) -> Result<Vec<(String, String)>, Fault> {
        let sql = include_str!("../../../../sql/core/outbox_parked_keys.sql");
        let rows = self.query(sql, &[&self.shard.number, &self.shard.of]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    /// The next rows parked that may go, at most `limit` and about so many bytes: those that somebody asked for, and
    /// those of `topics`.
    pub async fn retries(
        &self,
        limit: i64,
        bytes: i64,
        topics: &[String],
    ) -> Result<Vec<Row>, Fault> {
        let sql = include_str!("../../../../sql/core/outbox_retry_next.sql");
        let rows =
            self.query(sql, &[&self.shard.number, &self.shard.of, &limit, &bytes, &topics]).await?;
        Ok(rows.iter().map(super::row).collect())
    }

    /// The topics that rows wait for.
    pub async fn waiting_topics(&self) -> Result<Vec<WaitingTopic>, Fault> {
        let sql = include_str!("../../../../sql/core/outbox_topics.sql");
        let rows = self.query(sql, &[&self.shard.number, &self.shard.of]).await?;
        let text = |row: &tokio_postgres::Row, at| row.get::<_, Option<String>>(at);
        Ok(rows
            .iter()
            .map(|row| WaitingTopic {
                topic: row.get(0),
                diagnosis: Diagnosis::new(Code::Kafka, text(row, 1).unwrap_or_default())
                    .advice(text(row, 2).unwrap_or_default()),
                asked: row.get(3),
            })
            .collect())
    }

    /// The oldest row that waits for a topic, once those that wait behind a refused row are told apart.
    pub async fn oldest_of(&self, topic: &str) -> Result<Option<Row>, Fault> {
        let sql = include_str!("../../../../sql/core/outbox_topic_behind.sql");
        self.query(sql, &[&topic]).await?;
        let sql = include_str!("../../../../sql/core/outbox_topic_oldest.sql");
        let rows = self.query(sql, &[&self.shard.number, &self.shard.of, &topic]).await?;
        Ok(rows.first().map(super::row))
    }

    /// Returns how many rows there still were.
    async fn mark(&self, sql: &'static str, rows: &[Parking]) -> Result<usize, Fault> {
        if rows.is_empty() {
            return Ok(0);
        }
        let seqs: Vec<i64> = rows.iter().map(|row| row.seq).collect();
        let said = |pick: fn(&Diagnosis) -> &String| -> Vec<Option<&String>> {
            rows.iter().map(|row| row.refusal.as_ref().map(pick)).collect()
        };
        let (reasons, advice) = (said(|refusal| &refusal.reason), said(|refusal| &refusal.advice));
        let by_topic: Vec<bool> = rows.iter().map(|row| row.by_topic).collect();
        Ok(self.query(sql, &[&seqs, &reasons, &advice, &by_topic]).await?.len())
    }
}

/// Never seen, for publish gives no number twice: better to stand still than to lose one of two.
fn one_number() -> Fault {
    let message = "two events of the outbox have one number, and one of them is to be parked";
    Fault::Refused {
        sqlstate: "23505".to_owned(),
        message: message.to_owned(),
        about: FaultSubject::default(),
    }
}
