//! The load: a payment service and another producer, whose book is the ledger.

pub mod payer;
pub mod payment;
pub mod sender;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use fastrand::Rng;
use tokio::task::JoinSet;

use super::ledger::Ledger;
use payer::Payer;
use payment::Payment;
use rules::problem::{Code, Problem};
use sender::Sender;

/// How many connections the payment service has.
const PAYERS: usize = 3;
/// How many payments are remembered for what is said of them later.
const REMEMBERED: usize = 500;

/// What all of the load share.
pub struct Load {
    /// The book.
    pub ledger: Arc<Ledger>,
    /// Kafka, past any proxy.
    pub bootstrap: String,
    /// The topic.
    pub topic: String,
    /// Stands for personal data: nothing but the tables and the topic may ever show it.
    pub canary: String,
    /// Whether broken records and lies are sent.
    pub dirty: bool,
    /// The mean pause between two acts of one of the load.
    pub pause_ms: u64,
    database_url: Mutex<String>,
    ended: AtomicBool,
    poison: AtomicBool,
    paid: Mutex<VecDeque<Payment>>,
}

impl Load {
    /// A load that has not begun.
    pub fn new(
        ledger: Arc<Ledger>,
        database_url: String,
        bootstrap: String,
        topic: String,
        seed: u64,
    ) -> Load {
        let mut rng = Rng::with_seed(seed);
        Load {
            ledger,
            bootstrap,
            topic,
            canary: format!("canary-{:016x}@example.org", rng.u64(..)),
            // Half of the rounds have nothing in quarantine, so that somebody can say that all is well.
            dirty: seed % 2 == 1,
            pause_ms: 40,
            database_url: Mutex::new(database_url),
            ended: AtomicBool::new(false),
            poison: AtomicBool::new(false),
            paid: Mutex::default(),
        }
    }

    /// Begins; the tasks go on until [`Load::end`].
    pub fn begin(self: &Arc<Load>, seed: u64) -> Result<JoinSet<Result<(), Problem>>, Problem> {
        let mut rng = Rng::with_seed(seed);
        let mut tasks = JoinSet::new();
        for _ in 0..PAYERS {
            tasks.spawn(Payer::new(Arc::clone(self), rng.fork()).run());
        }
        let payer = Payer::new(Arc::clone(self), rng.fork());
        tasks.spawn(Sender::new(Arc::clone(self), rng.fork(), payer)?.run());
        Ok(tasks)
    }

    /// Lets everybody end after the act that each is at.
    pub fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    fn poisons(&self) -> bool {
        self.poison.load(Ordering::SeqCst)
    }

    fn goes_on(&self) -> bool {
        !self.ended.load(Ordering::SeqCst)
    }

    /// Where the payments are.
    pub fn database_url(&self) -> String {
        self.database_url.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Moves the payment service to another server.
    pub fn move_to(&self, database_url: String) {
        *self.database_url.lock().unwrap_or_else(PoisonError::into_inner) = database_url;
    }

    /// Whether the other producer sends nothing but broken records from now on.
    pub fn poison(&self, only: bool) {
        self.poison.store(only, Ordering::SeqCst);
    }

    fn remember(&self, payment: &Payment) {
        let mut paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        paid.push_back(payment.clone());
        if paid.len() > REMEMBERED {
            paid.pop_front();
        }
    }

    fn recall(&self, rng: &mut Rng) -> Option<Payment> {
        let paid = self.paid.lock().unwrap_or_else(PoisonError::into_inner);
        paid.get(rng.usize(0..paid.len().max(1))).cloned()
    }
}

/// Waits for the end of the load's tasks; the first failure is the load's.
pub async fn ended(mut tasks: JoinSet<Result<(), Problem>>) -> Result<(), Problem> {
    while let Some(task) = tasks.join_next().await {
        task.map_err(|e| Problem::new(Code::System, format!("the load failed: {e}")))??;
    }
    Ok(())
}
