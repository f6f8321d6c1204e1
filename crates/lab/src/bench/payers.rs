//! Who pays, at random moments, over as many connections as the rate needs, and who looks for the purchases.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_postgres::Client;
use uuid::Uuid;

use super::load::Payment;
use super::servers::{BenchServers, TOPIC};
use super::{postgres, system};
use rules::problem::Problem;

/// What one connection pays a second, at most: a commit takes some milliseconds.
const PER_CONNECTION: f64 = 100.0;
/// As PostgreSQL takes a hundred connections unless told otherwise.
const CONNECTIONS: usize = 48;
/// How often the purchases are looked for; what is measured is longer by half of it.
const LOOK: Duration = Duration::from_millis(1);
/// How long the last purchases may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A payment with its event, or alone: one statement, so that it is one transaction and one round trip.
const WITH_EVENT: &str = "WITH paid AS (INSERT INTO payments (id, student_id, course_id, amount, currency) \
        VALUES ($1, $2, $3, $4::text::numeric, 'INR')) \
    SELECT makegood.publish($5, $6, 'PURCHASE_CONFIRMED', $7::text::jsonb, event_id => $8)";
const ALONE: &str = "INSERT INTO payments (id, student_id, course_id, amount, currency) \
    VALUES ($1, $2, $3, $4::text::numeric, 'INR')";

/// Connections that pay.
pub struct Payers {
    clients: Vec<Arc<Client>>,
    pub watched: Arc<WatchedPayments>,
    next: usize,
    seed: u64,
}

impl Payers {
    /// Connects, and lets somebody look for purchases until the bench ends.
    pub async fn new(servers: &BenchServers, seed: u64) -> Result<Payers, Problem> {
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS {
            clients.push(Arc::new(servers.connect().await?));
        }
        let watched = Arc::new(WatchedPayments::default());
        tokio::spawn(look(servers.connect().await?, watched.clone()));
        Ok(Payers { clients, watched, next: 0, seed })
    }

    /// Keeps numbers of payments for somebody else; returns the first of them.
    pub fn reserve(&mut self, count: usize) -> usize {
        let first = self.next;
        self.next += count;
        first
    }

    /// Makes so many payments at random moments of that rate. With events, each is watched from its commit on.
    pub async fn pay(&mut self, count: usize, rate: f64, events: bool) -> Result<(), Problem> {
        let payers = ((rate / PER_CONNECTION).ceil() as usize).clamp(1, CONNECTIONS).min(count);
        let mut paying = JoinSet::new();
        for (n, client) in self.clients.iter().take(payers).enumerate() {
            let share = count / payers + usize::from(n < count % payers);
            let first = self.next;
            self.next += share;
            self.seed += 1;
            let random = fastrand::Rng::with_seed(self.seed);
            let watched = events.then(|| self.watched.clone());
            let rate = rate / payers as f64;
            paying.spawn(pay(client.clone(), watched, first..first + share, rate, random));
        }
        while let Some(paid) = paying.join_next().await {
            paid.map_err(|e| system(format!("a payer stopped: {e}")))??;
        }
        Ok(())
    }
}

async fn pay(
    client: Arc<Client>,
    watched: Option<Arc<WatchedPayments>>,
    numbers: std::ops::Range<usize>,
    rate: f64,
    mut random: fastrand::Rng,
) -> Result<(), Problem> {
    let sql = if watched.is_some() { WITH_EVENT } else { ALONE };
    let pays = client.prepare(sql).await.map_err(|e| postgres(&e))?;
    let mut due = tokio::time::Instant::now();
    for number in numbers {
        // Gaps of a Poisson process: payments do not wait for each other.
        due += Duration::from_secs_f64(-(1.0 - random.f64()).ln() / rate);
        tokio::time::sleep_until(due).await;
        let p = Payment::numbered(number);
        let (amount, key, json) = (p.amount(), p.student.to_string(), p.json());
        let paid = match &watched {
            None => client.execute(&pays, &[&p.id, &p.student, &p.course, &amount]).await,
            Some(_) => {
                let of_event: [&(dyn tokio_postgres::types::ToSql + Sync); 8] =
                    [&p.id, &p.student, &p.course, &amount, &TOPIC, &key, &json, &p.event];
                client.execute(&pays, &of_event).await
            }
        };
        paid.map_err(|e| postgres(&e))?;
        if let Some(watched) = &watched {
            watched.paid(p.id);
        }
    }
    Ok(())
}

/// The payments whose purchases are not seen yet, and how long the others took.
#[derive(Default)]
pub struct WatchedPayments(Mutex<Times>);

#[derive(Default)]
struct Times {
    open: HashMap<Uuid, Instant>,
    took: Vec<Duration>,
}

impl WatchedPayments {
    /// From now on a purchase is waited for.
    pub fn paid(&self, payment: Uuid) {
        self.lock().open.insert(payment, Instant::now());
    }

    /// Waits until there is a purchase for each payment.
    pub async fn all_seen(&self) -> Result<(), Problem> {
        let deadline = Instant::now() + PATIENCE;
        while !self.lock().open.is_empty() {
            if Instant::now() > deadline {
                let open = self.lock().open.len();
                return Err(system(format!("{open} payments have no purchase after a minute")));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// How long those took that were seen since the last call.
    pub fn take(&self) -> Vec<Duration> {
        std::mem::take(&mut self.lock().took)
    }

    fn lock(&self) -> MutexGuard<'_, Times> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks for the purchases of open payments until the bench ends.
async fn look(client: Client, watched: Arc<WatchedPayments>) {
    let sql = "SELECT payment_id FROM student_course_purchases WHERE payment_id = ANY ($1)";
    let Ok(statement) = client.prepare(sql).await else { return };
    loop {
        let open: Vec<Uuid> = watched.lock().open.keys().copied().collect();
        if !open.is_empty() {
            let Ok(rows) = client.query(&statement, &[&open]).await else { return };
            let seen = Instant::now();
            let mut times = watched.lock();
            for row in rows {
                if let Some(paid) = times.open.remove(&row.get(0)) {
                    times.took.push(seen - paid);
                }
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}
