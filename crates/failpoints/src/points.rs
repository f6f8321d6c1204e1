//! The steps, and which kinds mean something at each.

use super::FailpointKind;

/// A step.
#[derive(Clone, Copy, Debug)]
pub struct Failpoint {
    /// Its name.
    pub name: &'static str,
    /// What it can be told.
    pub kinds: &'static [FailpointKind],
    /// What leads there.
    pub by: Trigger,
}

/// What leads to a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Everyday work.
    Work,
    /// A new daemon.
    Start,
    /// A daemon that is stopped.
    Stop,
    /// A daemon that finds a database without a schema.
    First,
}

const ALL: &[FailpointKind] = &FailpointKind::ALL;
/// Nothing is handed on there that could be lost: what threads of one process tell each other in memory is not.
const KEEPS: &[FailpointKind] =
    &[FailpointKind::Error, FailpointKind::Panic, FailpointKind::Abort, FailpointKind::Sleep];
/// Nothing can be refused there either.
const PASSES: &[FailpointKind] =
    &[FailpointKind::Panic, FailpointKind::Abort, FailpointKind::Sleep];

const fn point(name: &'static str, kinds: &'static [FailpointKind], by: Trigger) -> Failpoint {
    Failpoint { name, kinds, by }
}

/// All of them, in the order of a payment's way.
pub const POINTS: &[Failpoint] = &[
    point("migrate.before", ALL, Trigger::First),
    point("migrate.after", ALL, Trigger::First),
    point("relay.claim.before", ALL, Trigger::Start),
    point("relay.claim.after", ALL, Trigger::Start),
    point("relay.read", ALL, Trigger::Work),
    point("relay.send", KEEPS, Trigger::Work),
    point("relay.report", KEEPS, Trigger::Work),
    point("relay.step.before", ALL, Trigger::Work),
    point("relay.step.after", ALL, Trigger::Work),
    point("rebalance.assigned", KEEPS, Trigger::Start),
    point("rebalance.revoked", KEEPS, Trigger::Stop),
    point("claim.begin", ALL, Trigger::Start),
    point("claim.commit.before", ALL, Trigger::Start),
    point("claim.commit.after", ALL, Trigger::Start),
    point("poll.record", ALL, Trigger::Work),
    point("apply_batch.begin", ALL, Trigger::Work),
    point("apply_batch.swallowed", &[FailpointKind::Error], Trigger::Work),
    point("apply_batch.commit.before", ALL, Trigger::Work),
    point("apply_batch.commit.after", ALL, Trigger::Work),
    point("apply_each.commit.before", ALL, Trigger::Work),
    point("apply_each.commit.after", ALL, Trigger::Work),
    point("offset_commit.before", ALL, Trigger::Work),
    point("offset_commit.after", PASSES, Trigger::Work),
    point("decision", ALL, Trigger::Work),
    point("lease.take", ALL, Trigger::Work),
    point("lease.renew", ALL, Trigger::Work),
    point("compare_window.commit.before", ALL, Trigger::Work),
    point("reconcile.commit.before", ALL, Trigger::Work),
    point("reconcile.commit.after", ALL, Trigger::Work),
    point("make_good.begin", ALL, Trigger::Work),
    point("make_good.commit.before", ALL, Trigger::Work),
    point("make_good.commit.after", ALL, Trigger::Work),
    point("replay.begin", ALL, Trigger::Work),
    point("replay.commit.before", ALL, Trigger::Work),
    point("replay.commit.after", ALL, Trigger::Work),
    point("notify.heard", ALL, Trigger::Work),
    point("shutdown.begun", PASSES, Trigger::Stop),
    point("shutdown.drained", KEEPS, Trigger::Stop),
];
