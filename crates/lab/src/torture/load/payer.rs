//! The payment service: payments and their events in one transaction, now and then rolled back, now and then with an end
//! that nobody told it.

use std::time::Duration;

use fastrand::Rng;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

use super::Load;
use super::payment::{CONFIRMED, FAILED, Payment, id};
use rules::problem::Problem;

const PAY: &str = "\
    INSERT INTO payments (id, student_id, course_id, amount, currency, status) \
    VALUES ($1, $2, $3, $4::text::numeric, 'INR', $5)";
const PUBLISH: &str = "SELECT makegood.publish($1, $2, $3, $4::text::jsonb, event_id => $5)";
const BOOK: &str = "\
    INSERT INTO student_course_purchases (payment_id, student_id, course_id, amount, currency) \
    SELECT id, student_id, course_id, amount, currency FROM payments WHERE id = $1";
/// How long an answer may take. A server that says nothing for so long is left.
const PATIENCE: Duration = Duration::from_secs(8);
/// After so many payments a student is done.
const STUDENTS: u64 = 40;

/// What a payment is to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Paid and published.
    Published,
    /// Paid, and nothing said of it: the reconciler's to find.
    Silent,
    /// Paid, published, and its purchase made by hand in the same transaction.
    ByHand,
    /// It failed, and an event of another type says so.
    Failed,
    /// It failed, and an event claims that it succeeded.
    Unpaid,
    /// Rolled back with its event.
    RolledBack,
    /// Its COMMIT is sent and the connection dropped.
    Abandoned,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Published => "published",
            Kind::Silent => "silent",
            Kind::ByHand => "by_hand",
            Kind::Failed => "failed",
            Kind::Unpaid => "unpaid",
            Kind::RolledBack => "rolled_back",
            Kind::Abandoned => "abandoned",
        }
    }

    fn choose(rng: &mut Rng, dirty: bool) -> Kind {
        match rng.u32(0..100) {
            0..4 => Kind::Silent,
            4..7 => Kind::ByHand,
            7..10 => Kind::Failed,
            10..16 => Kind::RolledBack,
            16..20 => Kind::Abandoned,
            20 if dirty => Kind::Unpaid,
            _ => Kind::Published,
        }
    }
}

/// One connection of the payment service, with students of its own, so that nobody else writes under their keys.
pub struct Payer {
    load: std::sync::Arc<Load>,
    rng: Rng,
    student: Uuid,
    seq: u64,
    promised: Option<Payment>,
    session: Option<Session>,
}

struct Session {
    client: Client,
    carrying: JoinHandle<()>,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

impl Payer {
    /// A payer with chances of its own.
    pub fn new(load: std::sync::Arc<Load>, mut rng: Rng) -> Payer {
        let student = id(&mut rng);
        Payer { load, rng, student, seq: 0, promised: None, session: None }
    }

    /// Pays until the load is to end.
    pub async fn run(mut self) -> Result<(), Problem> {
        while self.load.goes_on() {
            let kind = Kind::choose(&mut self.rng, self.load.dirty);
            self.pay(kind).await?;
            let pause = self.rng.u64(0..self.load.pause_ms * 2);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        Ok(())
    }

    /// Makes one payment, and says what is known of its end.
    pub async fn pay(&mut self, kind: Kind) -> Result<Option<Payment>, Problem> {
        if !self.connected().await {
            tokio::time::sleep(Duration::from_millis(200)).await;
            return Ok(None);
        }
        let payment = self.next();
        self.settle(payment, kind).await
    }

    /// A payment that is still to come, for those who speak of it early.
    pub fn promise(&mut self) -> Payment {
        let payment = self.next();
        self.promised = Some(payment.clone());
        payment
    }

    /// Makes the payment that was promised, if there is a server to take it.
    pub async fn keep_promise(&mut self) -> Result<(), Problem> {
        if self.connected().await
            && let Some(payment) = self.promised.take()
        {
            self.settle(payment, Kind::Silent).await?;
        }
        Ok(())
    }

    fn next(&mut self) -> Payment {
        self.seq += 1;
        Payment::new(&mut self.rng, self.student, self.seq)
    }

    async fn settle(&mut self, payment: Payment, kind: Kind) -> Result<Option<Payment>, Problem> {
        self.load.ledger.note(payment.line(kind.name(), "intend"))?;
        let phase = self.end(&payment, kind).await;
        self.load.ledger.note(
            json!({"act": "pay", "kind": kind.name(), "phase": phase, "payment": payment.id}),
        )?;
        // Whoever does not know whether a payment came to be has no order to claim with the next one.
        if phase == "unknown" || phase == "refused" || self.seq == STUDENTS {
            (self.student, self.seq) = (id(&mut self.rng), 0);
        }
        if phase != "committed" {
            return Ok(None);
        }
        if matches!(kind, Kind::Published | Kind::ByHand) {
            self.load.remember(&payment);
        }
        Ok(Some(payment))
    }

    async fn connected(&mut self) -> bool {
        if self.session.as_ref().is_some_and(|s| !s.client.is_closed()) {
            return true;
        }
        self.session = None;
        let url = self.load.database_url();
        let opened = tokio::time::timeout(PATIENCE, tokio_postgres::connect(&url, NoTls)).await;
        let Ok(Ok((client, connection))) = opened else { return false };
        let carrying = tokio::spawn(async move {
            let _ = connection.await;
        });
        let session = Session { client, carrying };
        // A standby that is away keeps the daemon's commits waiting, and not ours.
        let set = session.client.batch_execute("SET synchronous_commit = local");
        if !matches!(tokio::time::timeout(PATIENCE, set).await, Ok(Ok(()))) {
            return false;
        }
        self.session = Some(session);
        true
    }

    /// The payment's transaction: `committed`, `rolled_back`, `refused`, or `unknown`.
    async fn end(&mut self, payment: &Payment, kind: Kind) -> &'static str {
        let written = match &self.session {
            Some(session) => {
                tokio::time::timeout(PATIENCE, write(&session.client, &self.load, payment, kind))
                    .await
                    .is_ok_and(|written| written.is_ok())
            }
            None => false,
        };
        if !written {
            // Nothing but COMMIT commits.
            self.session = None;
            return "refused";
        }
        let Some(session) = &self.session else { return "refused" };
        let patience = match kind {
            Kind::Abandoned => Duration::from_micros(self.rng.u64(0..2000)),
            _ => PATIENCE,
        };
        let word = if kind == Kind::RolledBack { "ROLLBACK" } else { "COMMIT" };
        let outcome = tokio::time::timeout(patience, session.client.batch_execute(word)).await;
        match outcome {
            Ok(Ok(())) if kind == Kind::RolledBack => "rolled_back",
            Ok(Ok(())) => "committed",
            ended => {
                self.session = None;
                match ended {
                    _ if kind == Kind::RolledBack => "refused",
                    // Only what refuses a transaction for its own sake says that it was not committed: a server that
                    // panics on its disk may have written it down before.
                    Ok(Err(e)) if e.code().is_some_and(|c| refuses(c.code())) => "refused",
                    _ => "unknown",
                }
            }
        }
    }
}

/// Integrity, an aborted transaction, serialization.
fn refuses(sqlstate: &str) -> bool {
    ["23", "25", "40"].iter().any(|class| sqlstate.starts_with(class))
}

async fn write(
    client: &Client,
    load: &Load,
    payment: &Payment,
    kind: Kind,
) -> Result<(), tokio_postgres::Error> {
    client.batch_execute("BEGIN").await?;
    let status = match kind {
        Kind::Failed | Kind::Unpaid => "failed",
        _ => "succeeded",
    };
    let Payment { id, student, course, amount, event, .. } = payment;
    client.execute(PAY, &[id, student, course, amount, &status]).await?;
    if kind == Kind::ByHand {
        client.execute(BOOK, &[id]).await?;
    }
    if kind != Kind::Silent {
        let event_type = if kind == Kind::Failed { FAILED } else { CONFIRMED };
        let payload = payment.event(*event, event_type, amount, &load.canary).to_string();
        let key = student.to_string();
        client.query_one(PUBLISH, &[&load.topic, &key, &event_type, &payload, event]).await?;
    }
    Ok(())
}
