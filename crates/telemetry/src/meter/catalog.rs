//! Every metric there is, with what it means. Names, types and help are stable; docs/reference/metrics.md is
//! written from here.

/// What a metric's numbers mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Goes up only.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations in buckets.
    Histogram,
}

/// Since when a metric counts, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricScope {
    /// Read from makegood's tables: the same on every daemon, and it survives a restart.
    Shared,
    /// What this process sees or does, since its start.
    Process,
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: MetricKind,
    /// Whose it is.
    pub scope: MetricScope,
    /// The labels of its series.
    pub labels: &'static [&'static str],
    /// What it says, in a sentence.
    pub help: &'static str,
}

macro_rules! catalog {
    ($($constant:ident $name:literal $kind:ident $scope:ident [$($label:literal)*] $help:literal;)*) => {
        $(#[doc = $help] pub const $constant: &str = $name;)*
        /// Every metric, in the order in which they are documented.
        pub const METRICS: &[Metric] = &[$(Metric {
            name: $name, kind: MetricKind::$kind, scope: MetricScope::$scope, labels: &[$($label),*], help: $help,
        }),*];
    };
}

catalog! {
    BUILD_INFO "makegood_build_info" Gauge Process ["version" "librdkafka"]
        "Always 1; the labels say which program this is.";
    STARTED_AT "makegood_start_timestamp_seconds" Gauge Process []
        "When this process started, in Unix time.";
    READY "makegood_ready" Gauge Process []
        "1 if /readyz says that the work is being done, else 0.";
    READY_CHECK "makegood_ready_check" Gauge Process ["check"]
        "1 for each check of /readyz that is well, else 0.";
    SNAPSHOT_AT "makegood_snapshot_timestamp_seconds" Gauge Process []
        "When the databases and Kafka were last asked for what is shown here, in Unix time.";
    DATABASE_AT "makegood_database_read_timestamp_seconds" Gauge Process []
        "When the database with the purchases last answered, in Unix time; what is read from it is as old as this.";
    CLOCK_AHEAD "makegood_clock_ahead_seconds" Gauge Process []
        "How far this machine's clock is ahead of the database's.";
    ROUTE_VERDICT "makegood_route_verdict" Gauge Shared ["route" "verdict"]
        "1 for the verdict that makegood status gives on the route, 0 for all others.";
    ROUTE_WORKERS "makegood_route_workers" Gauge Shared ["route"]
        "Daemons seen on the route within the last thirty seconds.";
    EVENTS "makegood_inbox_events_total" Counter Shared ["route" "result"]
        "Records taken in, by what they came to.";
    APPLY_SECONDS "makegood_inbox_apply_duration_seconds" Histogram Process ["route"]
        "How long the transaction of a batch took.";
    BATCH_RECORDS "makegood_inbox_batch_records" Histogram Process ["route"]
        "How many records a batch had.";
    EVENT_AGE "makegood_inbox_event_age_seconds" Histogram Process ["route"]
        "How old the oldest record of a batch was when the batch was committed.";
    LAG_MESSAGES "makegood_consumer_lag_messages" Gauge Shared ["route" "partition"]
        "Records in Kafka that have not been taken in.";
    LAG_SECONDS "makegood_consumer_lag_seconds" Gauge Shared ["route" "partition"]
        "How long the next record to take in has been in Kafka; 0 if none waits.";
    PROGRESS_AT "makegood_consumer_last_progress_timestamp_seconds" Gauge Shared ["route" "partition"]
        "When the partition last moved on, in Unix time by the database's clock; 0 if it never did.";
    REBALANCES "makegood_consumer_rebalances_total" Counter Process ["route"]
        "How often the group gave this process partitions.";
    HELD "makegood_held" Gauge Shared ["component"]
        "1 while a route or the outbox is stopped until something is mended, else 0.";
    HOLDS "makegood_holds_total" Counter Process ["route"]
        "How often a lane of this process had to stop until something was mended.";
    STALLS "makegood_stalls_total" Counter Shared ["component"]
        "How often a route was found to stand still though records waited.";
    UNPURCHASED "makegood_paid_not_purchased_payments" Gauge Shared ["route"]
        "Payments that succeeded and have no purchase.";
    UNPURCHASED_AGE "makegood_paid_not_purchased_oldest_age_seconds" Gauge Shared ["route"]
        "How long ago the oldest of them became paid; 0 if there is none.";
    COUNTED_AT "makegood_paid_not_purchased_counted_timestamp_seconds" Gauge Shared ["route"]
        "When they were last counted, in Unix time by the database's clock; 0 if they never were.";
    QUARANTINE "makegood_quarantine_records" Gauge Shared ["route" "reason"]
        "Records in quarantine that wait for a decision.";
    OUTBOX_PENDING "makegood_outbox_pending_messages" Gauge Shared []
        "Events of the outbox that Kafka has not acknowledged.";
    OUTBOX_BYTES "makegood_outbox_pending_bytes" Gauge Shared []
        "The size of those events.";
    OUTBOX_AGE "makegood_outbox_oldest_age_seconds" Gauge Shared []
        "How long the oldest of those events has been waiting; 0 if there is none.";
    OUTBOX_FLYING "makegood_outbox_in_flight_messages" Gauge Shared []
        "Events handed to Kafka and not acknowledged yet.";
    OUTBOX_PARKED "makegood_outbox_parked_messages" Gauge Shared ["cause"]
        "Events parked: refused by Kafka, behind such a one of their key, or waiting for a topic that takes nothing.";
    OUTBOX_PUBLISHED "makegood_outbox_published_total" Counter Shared []
        "Events of the outbox that Kafka has acknowledged.";
    OUTBOX_VERDICT "makegood_outbox_verdict" Gauge Shared ["verdict"]
        "1 for the verdict that makegood status gives on the outbox, 0 for all others.";
    OUTBOX_RELAYED "makegood_outbox_shards_relayed" Gauge Shared []
        "Shards of the outbox that a living daemon relays.";
    OUTBOX_SHARDS "makegood_outbox_shards" Gauge Shared []
        "Shards that the outbox has.";
    PUBLISH_SECONDS "makegood_outbox_publish_duration_seconds" Histogram Process []
        "How long Kafka took to acknowledge a message, of a sample of them.";
    RECONCILED_AT "makegood_reconcile_last_success_timestamp_seconds" Gauge Shared ["reconcile"]
        "When the job's last run that was not a dry one ended well, in Unix time; 0 if none has yet.";
    RECONCILE_SECONDS "makegood_reconcile_last_duration_seconds" Gauge Shared ["reconcile"]
        "How long that run took.";
    RECONCILE_FINDINGS "makegood_reconcile_mismatches" Gauge Shared ["reconcile" "kind"]
        "Open findings of the job: missing and gone purchases, and what conflicts.sql finds.";
    RECONCILE_HELD "makegood_reconcile_held_runs" Gauge Shared ["reconcile"]
        "Runs that wait for an approval.";
    RECONCILE_RUNNING "makegood_reconcile_running" Gauge Shared ["reconcile"]
        "1 while a run is being taken step by step, else 0.";
    MADE_GOOD "makegood_reconcile_made_good_total" Counter Process ["reconcile"]
        "Purchases that the job's runs have made in this process.";
    POOL "makegood_db_pool_connections" Gauge Process ["state"]
        "Connections for the routes and jobs: in use, idle, and the most there may be.";
    POOL_WAITING "makegood_db_pool_waiting" Gauge Process []
        "Who waits for a connection because all are in use.";
    DATABASE_ERRORS "makegood_db_errors_total" Counter Process ["class"]
        "Errors of PostgreSQL by the first two characters of their SQLSTATE; lost for a broken connection.";
    KAFKA_ERRORS "makegood_kafka_errors_total" Counter Process ["code"]
        "Errors that the Kafka client reported, by their name.";
    LOG_DROPPED "makegood_log_lines_dropped_total" Counter Process []
        "Lines of the log that were dropped because nobody read standard error in time.";
}
