//! Where makegood stands, as anybody can read it from its public views.

use std::collections::BTreeMap;

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::shop::failed;
use crate::pure::problem::Problem;

/// What the views and the host's table say now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Rows in the host's table of purchases.
    pub purchases: usize,
    /// The next offset to read, by partition; empty before the worker's first step.
    pub positions: BTreeMap<i32, i64>,
    /// Records in quarantine.
    pub quarantined: usize,
}

impl Look {
    /// Asks the database. A schema that the worker has not made yet counts as empty.
    pub async fn take(client: &Client) -> Result<Look, Problem> {
        let mut look = Look::default();
        match look.ask(client).await {
            Err(e)
                if [Some(&SqlState::UNDEFINED_TABLE), Some(&SqlState::INVALID_SCHEMA_NAME)]
                    .contains(&e.code()) =>
            {
                Ok(look)
            }
            Err(e) => Err(failed(e, "looking")),
            Ok(()) => Ok(look),
        }
    }

    async fn ask(&mut self, client: &Client) -> Result<(), tokio_postgres::Error> {
        let count = "SELECT count(*) FROM student_course_purchases";
        self.purchases = number(client, count).await?;
        let positions = "SELECT partition, next_offset FROM makegood.consumer_positions";
        for row in client.query(positions, &[]).await? {
            self.positions.insert(row.try_get(0)?, row.try_get(1)?);
        }
        self.quarantined = number(client, "SELECT count(*) FROM makegood.quarantine_open").await?;
        Ok(())
    }

    /// Whether the worker has taken anything in yet.
    pub fn has_begun(&self) -> bool {
        self.positions.values().any(|next| *next > 0)
    }

    /// How many records before these ends are not taken in yet.
    pub fn behind(&self, ends: &BTreeMap<i32, i64>) -> i64 {
        let behind = |(partition, end): (&i32, &i64)| {
            (end - self.positions.get(partition).copied().unwrap_or(0)).max(0)
        };
        ends.iter().map(behind).sum()
    }
}

async fn number(client: &Client, sql: &str) -> Result<usize, tokio_postgres::Error> {
    let count: i64 = client.query_one(sql, &[]).await?.try_get(0)?;
    Ok(usize::try_from(count).unwrap_or(0))
}
