//! The shop: pays and publishes in one transaction, and keeps the book. Beside it another producer sends to the same
//! topic. Of makegood the shop knows one SQL function.

use std::collections::BTreeMap;

use tokio_postgres::{Client, NoTls};

use super::ledger::{Ledger, Purchase};
use super::script::{Fate, Kind, Payment, Script, Sending};
use kafka::produce::Producer;
use rules::problem::{Code, Problem};
use store::Fault;

/// The payment service's own tables.
const HOST_TABLES: &str = include_str!("../../../../sql/demo/host_tables.sql");
const PAY: &str = "\
    INSERT INTO payments (id, student_id, course_id, amount, currency, status) \
    VALUES ($1, $2, $3, $4::text::numeric, 'INR', $5)";
const PUBLISH: &str = "SELECT makegood.publish($1, $2, $3, $4::text::jsonb, event_id => $5)";
const BOOK_BY_HAND: &str = "\
    INSERT INTO student_course_purchases (payment_id, student_id, course_id, amount, currency) \
    SELECT id, student_id, course_id, amount, currency FROM payments WHERE id = $1";
const PURCHASES: &str =
    "SELECT payment_id, student_id, course_id, amount::text FROM student_course_purchases";

/// The shop's connections, its story and its book.
pub struct Shop {
    client: Client,
    /// A connection whose transaction is open while later payments come and go.
    late: Client,
    late_is_open: bool,
    topic: String,
    other: Producer,
    script: Script,
    ledger: Ledger,
}

impl Shop {
    /// Opens the shop in a database that [`make_database`] made and makegood has been to, on an existing topic.
    pub async fn open(
        database_url: &str,
        bootstrap_servers: String,
        topic: &str,
        script: Script,
    ) -> Result<Shop, Problem> {
        let patience = ("message.timeout.ms".to_owned(), "30000".to_owned());
        let kafka = config::Kafka {
            bootstrap_servers,
            properties: BTreeMap::from([patience]),
            token_command: config::Program::default(),
            msk_region: None,
        };
        Ok(Shop {
            client: connect(database_url).await?,
            late: connect(database_url).await?,
            late_is_open: false,
            topic: topic.to_owned(),
            other: Producer::new(&kafka, topic)?,
            script,
            ledger: Ledger::default(),
        })
    }

    /// The book.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// How many records of the story are still to come.
    pub fn left(&self) -> usize {
        self.script.left()
    }

    /// Goes on in the story by at most so many records. With the last ones, the last transaction that is open ends.
    pub async fn go_on(&mut self, records: usize) -> Result<(), Problem> {
        let sendings = self.script.next(records);
        self.serve(&sendings).await?;
        if self.left() == 0 {
            self.commit_late().await.map_err(|e| failed(e, "paying"))?;
        }
        Ok(())
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

    /// Payments first, each with its event in its transaction; then what the other producer sends.
    async fn serve(&mut self, sendings: &[Sending]) -> Result<(), Problem> {
        for sending in sendings.iter().filter(|s| s.kind != Kind::Broken) {
            // What the other producer sends may come up before the payment itself does.
            if self.ledger.pay(&sending.payment) {
                self.pay(&sending.payment).await.map_err(|e| failed(e, "paying"))?;
            }
        }
        let sent_by_other: Vec<_> = sendings.iter().filter(|s| s.kind != Kind::Published).collect();
        let handed: Vec<_> = sent_by_other
            .iter()
            .map(|sending| self.other.hand_over(&sending.record))
            .collect::<Result<_, _>>()?;
        for (sending, landed) in sent_by_other.iter().zip(handed) {
            landed.await?;
            self.ledger.sent(sending.kind);
        }
        Ok(())
    }

    async fn pay(&mut self, payment: &Payment) -> Result<(), tokio_postgres::Error> {
        if payment.fate == Fate::PaidLate {
            self.commit_late().await?;
            self.late_is_open = true;
            self.late.batch_execute("BEGIN").await?;
            return self.write(&self.late, payment).await;
        }
        self.client.batch_execute("BEGIN").await?;
        self.write(&self.client, payment).await?;
        let end = if payment.fate == Fate::RolledBack { "ROLLBACK" } else { "COMMIT" };
        self.client.batch_execute(end).await
    }

    /// The payment and its event, in the transaction that is open.
    async fn write(&self, client: &Client, payment: &Payment) -> Result<(), tokio_postgres::Error> {
        let Payment { id, student, course, amount, event, fate } = payment;
        let status = if *fate == Fate::Failed { "failed" } else { "succeeded" };
        client.execute(PAY, &[id, student, course, amount, &status]).await?;
        if *fate == Fate::PaidAndBooked {
            client.execute(BOOK_BY_HAND, &[id]).await?;
        }
        let (key, payload) = (student.to_string(), payment.payload());
        client
            .query_one(PUBLISH, &[&self.topic, &key, &fate.event_type(), &payload, event])
            .await?;
        Ok(())
    }

    async fn commit_late(&mut self) -> Result<(), tokio_postgres::Error> {
        if std::mem::take(&mut self.late_is_open) {
            self.late.batch_execute("COMMIT").await?;
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
