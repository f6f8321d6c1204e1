//! The task behind a lane.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot, watch};
use tracing::{info, warn};

use super::{Lane, LaneClaim, LaneReport, Order};
use crate::ingest::Route;
use crate::ingest::attempt::Attempt;
use crate::ingest::partition_state::is_same;
use crate::kafka::consumer::Delivery;
use crate::progress::{LaneWork, Progress};
use crate::store::Store;
use crate::store::mapping::Mapping;
use crate::store::positions::{self, KEPT_STEPS};
use rules::batch::Limits;
use rules::diagnosis::Diagnosis;
use rules::ids::StepNumber;
use rules::ingest::lane::{Action, Arrival, Ending, Event, Lane as Machine};
use rules::ingest::proof::proves;
use rules::record::Record;
use rules::trace::TraceContext;

impl Lane {
    /// Starts a lane; it ends when its handle is dropped.
    pub(in crate::ingest) fn start(
        number: usize,
        route: &Arc<Route>,
        store: &Store,
        mapping: &watch::Receiver<Arc<Mapping>>,
        vitals: &Progress,
        reports: &mpsc::UnboundedSender<LaneReport>,
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
            machine: Machine::new(limits),
            claim: None,
            settling: Vec::new(),
        };
        let reports = reports.clone();
        tokio::spawn(async move {
            // A panic must not look like an idle lane.
            if tokio::spawn(worker.run()).await.is_err() {
                let _ = reports.send(LaneReport::Ended(number));
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
    work: Arc<LaneWork>,
    reports: mpsc::UnboundedSender<LaneReport>,
    deliveries: mpsc::Receiver<Delivery>,
    orders: mpsc::Receiver<Order>,
    machine: Machine<Delivery, Diagnosis>,
    claim: Option<Box<LaneClaim>>,
    settling: Vec<oneshot::Sender<()>>,
}

impl Worker {
    async fn run(mut self) {
        let rows = self.route.settings.batch.rows.max(1);
        let mut arrived = Vec::with_capacity(rows);
        loop {
            let due = self.machine.due();
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
                count = self.deliveries.recv_many(&mut arrived, rows), if !self.machine.is_full() => {
                    if count == 0 {
                        return;
                    }
                    let now = Instant::now();
                    for delivery in arrived.drain(..) {
                        self.take(delivery, now);
                    }
                }
                () = wait => self.attempt().await,
            }
        }
    }

    fn take(&mut self, delivery: Delivery, now: Instant) {
        let Delivery { generation, follows, ref record, .. } = delivery;
        let Record { partition, offset, .. } = *record;
        let bytes = record.size();
        let is_anchor = self.claim.as_ref().and_then(|claim| {
            let anchor = claim.anchors.get(&partition)?;
            let start = *claim.starts.get(&partition)?;
            proves(anchor.offset, start, follows, offset, || is_same(anchor, record))
        });
        let arrival =
            Arrival { generation, partition, offset, follows, bytes, is_anchor, record: delivery };
        self.happen_at(Event::Arrived(arrival), now);
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Adopt(claim) => {
                let (generation, from) = (claim.generation, claim.from.clone());
                self.claim = Some(claim);
                self.happen(Event::Adopted { generation, from });
            }
            Order::Drop { done } => {
                self.claim = None;
                self.happen(Event::Dropped);
                let _ = done.send(());
            }
            Order::Settle { done } => self.settling.push(done),
        }
    }

    /// Tells the loop what an event leads to. Returns whether a batch is to be tried.
    fn happen(&mut self, event: Event<Delivery, Diagnosis>) -> bool {
        self.happen_at(event, Instant::now())
    }

    fn happen_at(&mut self, event: Event<Delivery, Diagnosis>, now: Instant) -> bool {
        let mut is_due = false;
        for action in self.machine.on(event, now, fastrand::f64()) {
            let report = match action {
                Action::Attempt => {
                    is_due = true;
                    continue;
                }
                Action::Restart(why) => {
                    self.claim = None;
                    LaneReport::Restart(why)
                }
                Action::Held(hold) => {
                    self.tell(&hold);
                    LaneReport::Held(self.number, hold)
                }
                Action::Resumed => {
                    info!(route = self.route.settings.name, lane = self.number, "resumed");
                    LaneReport::Resumed(self.number)
                }
            };
            let _ = self.reports.send(report);
        }
        is_due
    }

    fn settled(&mut self) {
        for done in self.settling.drain(..) {
            let _ = done.send(());
        }
    }

    /// Tries the batch at hand, or the next one.
    async fn attempt(&mut self) {
        if !self.happen(Event::Due) {
            return;
        }
        let Some(claim) = &mut self.claim else {
            self.happen(Event::Dropped);
            return;
        };
        let mapping = self.mapping.borrow().clone();
        let attempt = Attempt {
            route: &self.route,
            store: &self.store,
            mapping: &mapping,
            work: &self.work,
            is_patient: self.machine.is_patient(),
        };
        let ending = attempt.run(claim, self.machine.pending()).await;
        let is_done = matches!(ending, Ending::Done);
        self.happen(Event::Ended(ending));
        if is_done {
            self.trim().await;
        }
    }

    fn tell(&mut self, hold: &Diagnosis) {
        let pending = self.machine.pending();
        warn!(
            route = self.route.settings.name,
            lane = self.number,
            records = pending.len(),
            trace_id = TraceContext::first_id(pending.iter().map(|d| &d.record)),
            hint = hold.advice,
            "held: {}",
            hold.reason
        );
    }

    /// Deletes old steps now and then, after a batch and not in it.
    async fn trim(&mut self) {
        let Some(claim) = &mut self.claim else { return };
        let is_due = |(partition, step): &(&i32, &StepNumber)| {
            claim.trimmed.get(partition).is_none_or(|last| step.back(KEPT_STEPS) >= *last)
        };
        let due: BTreeMap<i32, StepNumber> = claim
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
