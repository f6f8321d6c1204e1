//! The shop: pays, sends the events, and keeps the book. It knows nothing of makegood.

use std::collections::BTreeMap;

use tokio_postgres::{Client, NoTls};

use super::ledger::{Ledger, Purchase};
use super::script::{Fate, Payment, Script, Sending};
use crate::config;
use crate::kafka::produce::Producer;
use crate::pure::problem::{Code, Problem};
use crate::store::Fault;

/// The payment service's own tables.
const HOST_TABLES: &str = include_str!("../../sql/demo/host_tables.sql");
const PAY: &str = "\
    INSERT INTO payments (id, student_id, course_id, amount, currency, status) \
    SELECT id, student, course, amount::numeric, 'INR', status \
    FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[]) AS p (id, student, course, amount, status)";
const BOOK_BY_HAND: &str = "\
    INSERT INTO student_course_purchases (payment_id, student_id, course_id, amount, currency) \
    SELECT id, student_id, course_id, amount, currency FROM payments WHERE id = $1";
const PURCHASES: &str =
    "SELECT payment_id, student_id, course_id, amount::text FROM student_course_purchases";

/// The shop's connections, its story and its book.
pub struct Shop {
    client: Client,
    producer: Producer,
    script: Script,
    ledger: Ledger,
}

impl Shop {
    /// Opens the shop in a database that [`make_database`] made, on an existing topic.
    pub async fn open(
        database_url: &str,
        bootstrap_servers: String,
        topic: &str,
        script: Script,
    ) -> Result<Shop, Problem> {
        let patience = ("message.timeout.ms".to_owned(), "30000".to_owned());
        let kafka = config::Kafka { bootstrap_servers, properties: BTreeMap::from([patience]) };
        Ok(Shop {
            client: connect(database_url).await?,
            producer: Producer::new(&kafka, topic)?,
            script,
            ledger: Ledger::default(),
        })
    }

    /// The book.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// How many records of the story are still to be sent.
    pub fn left(&self) -> usize {
        self.script.left()
    }

    /// Goes on in the story by at most so many records: payments first, then events, as a shop does.
    pub async fn go_on(&mut self, records: usize) -> Result<(), Problem> {
        let sendings = self.script.next(records);
        self.serve(&sendings).await
    }

    /// One more payment, beside the story.
    pub async fn one_more(&mut self) -> Result<(), Problem> {
        let sending = self.script.one_more();
        self.serve(&[sending]).await
    }

    /// All purchases there are.
    pub async fn purchases(&self) -> Result<Vec<Purchase>, Problem> {
        let rows = self.client.query(PURCHASES, &[]).await.map_err(|e| failed(e, "judging"))?;
        let purchase = |row: &tokio_postgres::Row| {
            Ok(Purchase {
                payment: row.try_get(0)?,
                student: row.try_get(1)?,
                course: row.try_get(2)?,
                amount: row.try_get(3)?,
            })
        };
        rows.iter().map(purchase).collect::<Result<_, _>>().map_err(|e| failed(e, "judging"))
    }

    async fn serve(&mut self, sendings: &[Sending]) -> Result<(), Problem> {
        let new: Vec<&Payment> =
            sendings.iter().map(|s| &s.payment).filter(|p| self.ledger.pay(p)).collect();
        self.pay(&new).await.map_err(|e| failed(e, "paying"))?;
        let handed: Vec<_> = sendings
            .iter()
            .map(|sending| self.producer.hand_over(&sending.record))
            .collect::<Result<_, _>>()?;
        for (sending, landed) in sendings.iter().zip(handed) {
            let (partition, offset) = landed.await?;
            self.ledger.sent(sending, partition, offset);
        }
        Ok(())
    }

    async fn pay(&self, new: &[&Payment]) -> Result<(), tokio_postgres::Error> {
        if new.is_empty() {
            return Ok(());
        }
        let ids: Vec<_> = new.iter().map(|p| p.id).collect();
        let students: Vec<_> = new.iter().map(|p| p.student).collect();
        let courses: Vec<_> = new.iter().map(|p| p.course).collect();
        let amounts: Vec<_> = new.iter().map(|p| p.amount.as_str()).collect();
        let status = |p: &&Payment| if p.fate == Fate::Failed { "failed" } else { "succeeded" };
        let statuses: Vec<_> = new.iter().map(status).collect();
        self.client.execute(PAY, &[&ids, &students, &courses, &amounts, &statuses]).await?;
        for payment in new.iter().filter(|p| p.fate == Fate::PaidAndBooked) {
            self.client.execute(BOOK_BY_HAND, &[&payment.id]).await?;
        }
        Ok(())
    }
}

/// Creates the shop's database with the payment service's tables.
pub async fn make_database(
    server_url: &str,
    name: &str,
    database_url: &str,
) -> Result<(), Problem> {
    let create = format!("CREATE DATABASE {name}");
    let doing = "making the shop's database";
    connect(server_url).await?.batch_execute(&create).await.map_err(|e| failed(e, doing))?;
    connect(database_url).await?.batch_execute(HOST_TABLES).await.map_err(|e| failed(e, doing))
}

/// A connection to the private PostgreSQL, which speaks no TLS.
pub async fn connect(url: &str) -> Result<Client, Problem> {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.map_err(|e| failed(e, "connecting"))?;
    // How it ends is the client's next error.
    tokio::spawn(connection);
    Ok(client)
}

/// A failed statement of the demo's own as a problem.
pub fn failed(error: tokio_postgres::Error, doing: &str) -> Problem {
    // The advice for operators is about their own servers, and these are the demo's.
    Problem::new(Code::Postgres, format!("{doing}: {}", Fault::from(error)))
}
