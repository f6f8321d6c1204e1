//! Beside another worker: reads the route's topic outside of any group's offsets, writes nothing anywhere, and compares what
//! the worker made with what makegood would have made. All statements run in sessions and transactions that can only read.
//!
//! An event is judged once it is older than the job's grace, for the worker needs some time too. What differed is looked at
//! again with each comparison, so that what was mended is no difference. Purchases without an event are looked for
//! among those that are younger than the log, so many at a time. `apply.sql` is prepared and never run: run and rolled
//! back it would fire triggers, draw numbers from sequences, and have the worker wait for the same payment's key.

mod compare;
mod log;
mod report;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

use crate::ingest::Route;
use crate::store::Store;
use crate::store::inbox::{Entry, Kind};
use crate::store::mapping::Mapping;
use crate::store::shadow::Beside;
use compare::Looked;
use log::WholeLog;
pub use report::{Comparison, Comparisons};
use rules::envelope;
use rules::fields;
use rules::ids::Offset;
use rules::payment;
use rules::problem::Problem;
use rules::record::Record;
use rules::shadow::{Difference, Tally, judge};

/// Between two looks at the topic.
const ROUND: Duration = Duration::from_secs(2);
/// How many events, or purchases, are asked for at once.
const TOGETHER: usize = 500;
/// The events that wait until they are old enough may take so many bytes; then nothing more is read.
const WAITING: usize = 64 << 20;
/// So many events are remembered, to know which purchases have none.
const REMEMBERED: usize = 2_000_000;
/// How long a comparison may take, and the last one, at the end.
const PATIENCE: Duration = Duration::from_secs(600);
const LAST: Duration = Duration::from_secs(8);

/// What is compared, and how.
pub struct Compared {
    /// The route, as it would be run.
    pub route: Arc<Route>,
    /// The brokers.
    pub kafka: crate::config::Kafka,
    /// The purchases' database, by sessions that only read.
    pub store: Store,
    /// The mapping, which knows whether events are held against payments.
    pub mapping: Mapping,
    /// How old an event or a purchase must be.
    pub grace: Duration,
    /// Between two comparisons of everything that differs.
    pub every: Duration,
}

/// The comparison of one route.
pub struct Shadow {
    settings: Compared,
    log: WholeLog,
    waiting: VecDeque<Record>,
    bytes: usize,
    seen: HashSet<[u8; 16]>,
    /// The time of the first record that each partition has, or of its event, and whether it was the first ever.
    first: BTreeMap<i32, (Timestamp, bool)>,
    tally: Tally,
    looked: Option<Looked>,
    report: Comparison,
}

/// Compares until `stop`, and once more then.
pub async fn run(settings: Compared, reports: watch::Sender<Comparisons>, stop: CancellationToken) {
    let mut shadow = Shadow::new(settings);
    let mut due = Instant::now();
    while !stop.is_cancelled() {
        let is_due = Instant::now() >= due;
        let until = Instant::now() + PATIENCE;
        let round = async {
            shadow.round().await?;
            if is_due { shadow.compare(until).await } else { Ok(()) }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            came = round => shadow.tell(came, &reports),
        }
        if is_due && shadow.report.is_read() {
            due = Instant::now() + shadow.settings.every;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(ROUND) => {}
        }
    }
    let until = Instant::now() + LAST;
    let last = async {
        shadow.round().await?;
        shadow.compare(until).await
    };
    let came = tokio::time::timeout_at(until, last).await;
    let came = came.unwrap_or_else(|_| {
        shadow.report.not_compared("the last comparison was cut short by the stop");
        Ok(())
    });
    shadow.tell(came, &reports);
}

impl Shadow {
    fn new(settings: Compared) -> Shadow {
        let report = Comparison::of(&settings.route.settings);
        Shadow {
            log: WholeLog::new(&settings),
            settings,
            waiting: VecDeque::new(),
            bytes: 0,
            seen: HashSet::new(),
            first: BTreeMap::new(),
            tally: Tally::default(),
            looked: None,
            report,
        }
    }

    fn tell(&mut self, came: Result<(), Problem>, reports: &watch::Sender<Comparisons>) {
        let trouble = came.err().map(|problem| problem.reason);
        if let Some(trouble) =
            trouble.as_ref().filter(|new| Some(*new) != self.report.trouble.as_ref())
        {
            warn!(route = self.report.route, "shadow: nothing can be compared now: {trouble}");
        }
        self.report.trouble = trouble;
        self.report.waiting = self.waiting.len();
        self.report.tell(&self.tally, Timestamp::now());
        let report = self.report.clone();
        reports.send_modify(|all| all.put(report));
    }

    /// Reads what is new, and judges what is old enough.
    async fn round(&mut self) -> Result<(), Problem> {
        self.look_what_is_left_out().await?;
        if self.log.look().await? {
            // Another log begins.
            self.waiting.clear();
            self.bytes = 0;
            self.first.clear();
            self.looked = None;
        }
        self.report.away.clone_from(&self.log.away);
        while self.bytes < WAITING {
            let records = self.log.next(TOGETHER).await?;
            self.report.away.clone_from(&self.log.away);
            if records.is_empty() {
                self.report.has_read = true;
                break;
            }
            records.into_iter().for_each(|record| self.take(record));
            self.judge_due().await?;
        }
        self.judge_due().await
    }

    fn take(&mut self, record: Record) {
        self.report.records += 1;
        let mut times = vec![at(&record)];
        let reader = self.settings.route.reader(&self.settings.mapping);
        let entry = Entry::decode(&record, self.log.topic_id, &reader);
        let key = entry.business_key(&self.settings.mapping);
        let place = format!("partition {}, offset {}", record.partition, record.offset);
        match (&entry.kind, key) {
            (Kind::OtherType(_), _) => self.report.other_types += 1,
            (Kind::Tombstone | Kind::Test(..), _) => {}
            (Kind::Event(body), Some(key)) => {
                let fields = self.settings.mapping.fields.iter().enumerate();
                let dates =
                    fields.filter(|(_, field)| field.kind == fields::FieldKind::Timestamptz);
                times.extend(dates.map(|(number, _)| body.value(number)?.parse().ok()));
                if let Some(first) = times.into_iter().flatten().min() {
                    let is_whole = record.offset == Offset(0);
                    self.first.entry(record.partition).or_insert((first, is_whole));
                }
                if self.seen.len() < REMEMBERED {
                    self.seen.insert(envelope::digest(key.as_bytes()));
                }
                self.bytes += size(&record);
                self.waiting.push_back(record);
            }
            (kind, _) => {
                let why = match kind {
                    Kind::Undecodable(refusal) => refusal.detail.clone(),
                    _ => "it does not say whose it is where the mapping says".to_owned(),
                };
                self.report.judged += 1;
                self.tally.note(&place, Some((Difference::Unreadable, why)));
            }
        }
    }

    /// Judges the events that are old enough.
    async fn judge_due(&mut self) -> Result<(), Problem> {
        loop {
            let now = Timestamp::now();
            let due =
                self.waiting.iter().take(TOGETHER).take_while(|r| self.is_old(r, now)).count();
            if due == 0 {
                return Ok(());
            }
            // Where no purchase can be looked at, nobody can tell what is missing: nothing is compared, and so it is not well.
            let can_see = self.settings.mapping.looks.purchases.is_some();
            if can_see {
                self.judge(due).await?;
                self.report.judged += due as u64;
            }
            // What could not be asked for is asked for again.
            let judged = self.waiting.drain(..due);
            self.bytes -= judged.map(|record| size(&record)).sum::<usize>();
        }
    }

    fn is_old(&self, record: &Record, now: Timestamp) -> bool {
        let grace = SignedDuration::try_from(self.settings.grace).unwrap_or(SignedDuration::MAX);
        at(record).is_none_or(|at| now.duration_since(at) >= grace)
    }

    async fn judge(&mut self, due: usize) -> Result<(), Problem> {
        let Compared { route, mapping, store, .. } = &self.settings;
        let beside = Beside { store, source: route.source.as_ref(), mapping };
        let reader = route.reader(mapping);
        let records: Vec<Record> = self.waiting.iter().take(due).cloned().collect();
        let entries: Vec<Entry<'_>> = records
            .iter()
            .map(|record| Entry::decode(record, self.log.topic_id, &reader))
            .collect();
        let keys: Vec<String> = entries.iter().filter_map(|e| e.business_key(mapping)).collect();
        let (payments, purchases) = ask(&beside, &keys).await?;
        for entry in &entries {
            let (Kind::Event(body), Some(key)) = (&entry.kind, entry.business_key(mapping)) else {
                continue;
            };
            let paid = payments.get(&key);
            let is_held = mapping.payments(route.source.as_ref()).is_some();
            let doubt = is_held
                .then(|| payment::doubt(&mapping.fields, body, paid.map(|(payment, _)| payment)))
                .flatten();
            let terms = paid.map(|(payment, terms)| (payment.state.as_str(), terms));
            self.tally.note(&key, judge(doubt.as_ref(), terms, purchases.get(&key)));
        }
        Ok(())
    }
}

type Payments = BTreeMap<String, (payment::Payment, serde_json::Value)>;
type Purchases = BTreeMap<String, serde_json::Value>;

async fn ask(beside: &Beside<'_>, keys: &[String]) -> Result<(Payments, Purchases), Problem> {
    let payments = beside.payments(keys).await;
    let payments = payments.map_err(|fault| fault.problem("payments.sql cannot be run"))?;
    let purchases = beside.purchases(keys).await;
    let purchases = purchases.map_err(|fault| fault.problem("purchases.sql cannot be run"))?;
    Ok((payments, purchases))
}

fn at(record: &Record) -> Option<Timestamp> {
    record.timestamp_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok())
}

fn size(record: &Record) -> usize {
    let of = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or(0, Vec::len);
    size_of::<Record>() + of(&record.key) + of(&record.value)
}

/// The topic's id before it is known.
const NO_TOPIC: Uuid = Uuid::nil();
