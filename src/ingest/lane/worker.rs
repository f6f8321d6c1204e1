//! The task behind a lane.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};

use super::{Claim, Hold, Lane, Order, Report};
use crate::ingest::Route;
use crate::ingest::attempt::{Attempt, Ending};
use crate::kafka::consumer::Delivery;
use crate::progress::{Vitals, Work};
use crate::store::Store;
use crate::store::mapping::Mapping;
use crate::store::positions::{self, KEPT_STEPS};
use rules::backoff::Backoff;
use rules::batch::{Batcher, Limits};
use rules::record::Record;
use rules::trace::TraceContext;

/// Pauses between attempts at a batch.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(50), max: Duration::from_secs(5) };
/// A passing failure is shown as a hold from this attempt on; the first ones usually mend by then.
const SHOWN_FROM: u32 = 3;
/// From so many failures on an error that should pass, or is the server's, has not: a trigger can raise it for one
/// record as well, which is looked for then.
const IMPATIENT_FROM: u32 = 6;

impl Lane {
    /// Starts a lane; it ends when its handle is dropped.
    pub(in crate::ingest) fn start(
        number: usize,
        route: &Arc<Route>,
        store: &Store,
        mapping: &watch::Receiver<Arc<Mapping>>,
        vitals: &Vitals,
        reports: &mpsc::UnboundedSender<Report>,
    ) -> Lane {
        let batch = &route.settings.batch;
        let (records, deliveries) = mpsc::channel(batch.rows.saturating_mul(2).max(1));
        let (orders, inbox) = mpsc::channel(8);
        let limits = Limits { rows: batch.rows, bytes: batch.bytes, linger: batch.linger };
        let worker = Worker {
            number,
            route: route.clone(),
            store: store.clone(),
            mapping: mapping.clone(),
            work: vitals.lane(number),
            reports: reports.clone(),
            deliveries,
            orders: inbox,
            gathering: Batcher::new(limits),
            pending: VecDeque::new(),
            claim: None,
            failures: 0,
            retry_at: None,
            shown: None,
            settling: Vec::new(),
        };
        let reports = reports.clone();
        tokio::spawn(async move {
            // A panic must not look like an idle lane.
            if tokio::spawn(worker.run()).await.is_err() {
                let _ = reports.send(Report::Ended(number));
            }
        });
        Lane { records, orders }
    }
}

struct Worker {
    number: usize,
    route: Arc<Route>,
    store: Store,
    mapping: watch::Receiver<Arc<Mapping>>,
    work: Arc<Work>,
    reports: mpsc::UnboundedSender<Report>,
    deliveries: mpsc::Receiver<Delivery>,
    orders: mpsc::Receiver<Order>,
    gathering: Batcher<Delivery>,
    /// The batch at hand, what is left of it.
    pending: VecDeque<Delivery>,
    claim: Option<Box<Claim>>,
    /// Attempts at the batch that failed.
    failures: u32,
    /// When the next attempt at a failed batch is due.
    retry_at: Option<Instant>,
    shown: Option<Hold>,
    settling: Vec<oneshot::Sender<()>>,
}

impl Worker {
    async fn run(mut self) {
        let rows = self.route.settings.batch.rows.max(1);
        let mut arrived = Vec::with_capacity(rows);
        loop {
            let due = self.due();
            if due.is_none() && self.deliveries.is_empty() {
                self.settled();
            }
            let wait = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                order = self.orders.recv() => match order {
                    Some(order) => self.obey(order),
                    None => return,
                },
                count = self.deliveries.recv_many(&mut arrived, rows), if !self.gathering.is_full() => {
                    if count == 0 {
                        return;
                    }
                    self.gather(&mut arrived);
                }
                () = wait => self.attempt().await,
            }
        }
    }

    /// When the next attempt is due; `None` with nothing to apply.
    fn due(&self) -> Option<Instant> {
        self.retry_at.or_else(|| self.gathering.deadline())
    }

    /// Takes what belongs to the claim. A record that does not follow the one before it would take the position
    /// past those between: then nothing is kept, and all is read again.
    fn gather(&mut self, arrived: &mut Vec<Delivery>) {
        let now = Instant::now();
        for delivery in arrived.drain(..) {
            let Some(claim) = &mut self.claim else { continue };
            if delivery.generation != claim.generation {
                continue;
            }
            let Record { partition, offset, .. } = delivery.record;
            if claim.ends.insert(partition, offset + 1) != Some(delivery.follows) {
                self.forget();
                let _ = self.reports.send(Report::Restart("records got lost on their way here"));
                continue;
            }
            let bytes = delivery.record.size();
            self.gathering.push(delivery, bytes, now);
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Adopt(claim) => {
                self.forget();
                self.claim = Some(claim);
            }
            Order::Drop { done } => {
                self.forget();
                let _ = done.send(());
            }
            Order::Settle { done } => self.settling.push(done),
        }
    }

    /// Lets go of everything: somebody else may read these records by now. What is still in the queue goes by
    /// its generation when it is taken out: some of it may belong to the claim that is adopted next.
    fn forget(&mut self) {
        self.claim = None;
        self.gathering.clear();
        self.pending.clear();
        self.went_well();
    }

    fn settled(&mut self) {
        for done in self.settling.drain(..) {
            let _ = done.send(());
        }
    }

    /// Tries the batch at hand, or the next one.
    async fn attempt(&mut self) {
        let limits = &self.route.settings.batch;
        if self.pending.is_empty() || (self.failures > 0 && self.pending.len() < limits.rows) {
            // After a failure the batch takes in what came since: another record may get through.
            self.pending.extend(self.gathering.take());
        }
        let Some(claim) = &mut self.claim else {
            self.pending.clear();
            self.retry_at = None;
            return;
        };
        let mapping = self.mapping.borrow().clone();
        let attempt = Attempt {
            route: &self.route,
            store: &self.store,
            mapping: &mapping,
            work: &self.work,
            is_patient: self.failures < IMPATIENT_FROM,
        };
        match attempt.run(claim, &mut self.pending).await {
            Ending::Done => {
                self.went_well();
                self.trim().await;
            }
            Ending::More => {
                self.went_well();
                self.retry_at = Some(Instant::now());
            }
            Ending::Again(hold) => self.went_wrong(hold, SHOWN_FROM),
            Ending::Hold(hold) => self.went_wrong(hold, 1),
            Ending::Collided => {
                self.forget();
                let _ =
                    self.reports.send(Report::Restart("another daemon moved a partition of ours"));
            }
        }
    }

    fn went_well(&mut self) {
        self.failures = 0;
        self.retry_at = None;
        if self.shown.take().is_some() {
            info!(route = self.route.settings.name, lane = self.number, "resumed");
            let _ = self.reports.send(Report::Resumed(self.number));
        }
    }

    fn went_wrong(&mut self, hold: Hold, shown_from: u32) {
        self.retry_at = Some(Instant::now() + BACKOFF.delay(self.failures, fastrand::f64()));
        self.failures = self.failures.saturating_add(1);
        if self.failures < shown_from || self.shown.as_ref() == Some(&hold) {
            return;
        }
        warn!(
            route = self.route.settings.name,
            lane = self.number,
            records = self.pending.len(),
            trace_id = TraceContext::first_id(self.pending.iter().map(|d| &d.record)),
            hint = hold.advice,
            "held: {}",
            hold.reason
        );
        self.shown = Some(hold.clone());
        let _ = self.reports.send(Report::Held(self.number, hold));
    }

    /// Deletes old steps now and then, after a batch and not in it.
    async fn trim(&mut self) {
        let Some(claim) = &mut self.claim else { return };
        let is_due = |(partition, step): &(&i32, &i64)| {
            claim.trimmed.get(partition).is_none_or(|last| **step >= last + KEPT_STEPS)
        };
        let due: BTreeMap<i32, i64> = claim
            .steps
            .iter()
            .filter(is_due)
            .map(|(partition, step)| (*partition, *step))
            .collect();
        if !due.is_empty() {
            positions::trim(&self.store, &claim.log, &due).await;
            claim.trimmed.extend(due);
        }
    }
}
