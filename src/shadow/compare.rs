//! What differed is looked at again, and purchases without an event are looked for.

use std::collections::HashSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::{Compared, REMEMBERED, Shadow, TOGETHER, ask};
use crate::store::mapping::Unfit;
use crate::store::payments::Place;
use crate::store::shadow::Beside;
use rules::envelope;
use rules::problem::Problem;
use rules::shadow::{Difference, judge};

/// How many purchases one comparison looks at; the next one goes on from there.
const PURCHASES: usize = 100_000;
/// Once all were looked at, a comparison begins so long before the last of them, for a worker may date a purchase back;
/// and once a day it begins with the first again.
const OVERLAP: SignedDuration = SignedDuration::from_hours(1);
const FROM_THE_START: Duration = Duration::from_hours(24);

/// How far the purchases were looked through.
#[derive(Debug)]
pub(super) struct Looked {
    begun: Instant,
    until: Option<Timestamp>,
    goes_on: Option<Place>,
    /// Digests of their keys, of so many.
    keys: HashSet<[u8; 16]>,
}

impl Looked {
    fn from_the_start() -> Looked {
        Looked { begun: Instant::now(), until: None, goes_on: None, keys: HashSet::new() }
    }

    /// Where the next comparison begins.
    fn next(&self, since: Timestamp) -> Place {
        let again = |until: Timestamp| until.saturating_sub(OVERLAP).unwrap_or(Timestamp::MIN);
        let at = self.until.map_or(since, |until| again(until).max(since));
        self.goes_on.clone().unwrap_or(Place { at: Some(at), key: None })
    }
}

impl Shadow {
    /// Looks again at what differed, and for purchases that no event tells of.
    pub(super) async fn compare(&mut self, until: Instant) -> Result<(), Problem> {
        self.look_at_apply().await?;
        self.look_again().await?;
        if self.report.is_read() {
            self.look_for_strangers(until).await?;
        }
        Ok(())
    }

    /// Whether makegood could make a purchase at all now: apply.sql is prepared and held against the catalogue, and never run.
    async fn look_at_apply(&mut self) -> Result<(), Problem> {
        let Compared { mapping, store, .. } = &self.settings;
        let fits = async {
            mapping.check_apply(store).await?;
            mapping.check_columns(store).await
        };
        self.report.unfit = match fits.await {
            Ok(()) => None,
            Err(Unfit::Unknown(fault)) => {
                return Err(fault.problem("apply.sql cannot be looked at"));
            }
            Err(unfit) => Some(unfit.problem("apply.sql does not fit").reason),
        };
        Ok(())
    }

    /// What cannot be compared now: a table may be away, and come back.
    pub(super) async fn look_what_is_left_out(&mut self) -> Result<(), Problem> {
        let Compared { route, store, mapping, .. } = &mut self.settings;
        let wanted = route.settings.verify_payment;
        let looked = mapping.look_for_payments(store, route.source.as_ref(), wanted).await;
        looked.map_err(|unfit| unfit.problem("events cannot be held against their payments"))?;
        self.report.may_be_compared();
        if mapping.looks.purchases.is_none() {
            self.report.not_compared("any purchase, for the mapping has no purchases.sql");
        }
        if let Some(why) = &mapping.believes {
            self.report.not_compared(&format!("events with their payments: {why}"));
        }
        if mapping.looks.payments.is_none() {
            self.report.not_compared("what purchases say, for the mapping has no payments.sql");
        }
        Ok(())
    }

    async fn look_again(&mut self) -> Result<(), Problem> {
        let Compared { route, mapping, store, .. } = &self.settings;
        let beside = Beside { store, source: route.source.as_ref(), mapping };
        let open = self.tally.open().filter(|(_, how, _)| *how != Difference::Unreadable);
        let open: Vec<(String, Difference)> =
            open.map(|(key, how, _)| (key.to_owned(), how)).collect();
        for some in open.chunks(TOGETHER) {
            let keys: Vec<String> = some.iter().map(|(key, _)| key.clone()).collect();
            let (payments, purchases) = ask(&beside, &keys).await?;
            for (key, how) in some {
                let paid = payments.get(key).map(|(p, terms)| (p.state.as_str(), terms));
                let purchase = purchases.get(key);
                let is_paid = paid.is_some_and(|(state, _)| state == "paid");
                let is_seen = self.seen.contains(&envelope::digest(key.as_bytes()));
                match how {
                    Difference::Unwanted if purchase.is_some() && !is_paid => {}
                    Difference::NoEvent if purchase.is_some() && !is_seen => {}
                    Difference::NoEvent if purchase.is_none() => self.tally.note(key, None),
                    _ => self.tally.note(key, judge(None, paid, purchase)),
                }
            }
        }
        Ok(())
    }

    /// From when on every purchase had its event in the log: where records were deleted, from the first that is left.
    fn since(&self) -> Option<Timestamp> {
        let whole = self.first.values().filter(|(_, is_whole)| *is_whole).map(|(at, _)| *at);
        let cut = self.first.values().filter(|(_, is_whole)| !is_whole).map(|(at, _)| *at);
        cut.max().or_else(|| whole.min())
    }

    /// Purchases from the log's time that no event tells of.
    async fn look_for_strangers(&mut self, until: Instant) -> Result<(), Problem> {
        let Some(since) = self.since() else { return Ok(()) };
        if self.seen.len() >= REMEMBERED {
            let many = "purchases without an event: there are too many events";
            self.report.is_cut = Some(many.to_owned());
            return Ok(());
        }
        if let Some((partition, _)) = self.log.away.first_key_value() {
            let many = format!("purchases without an event: partition {partition} was not read");
            self.report.is_cut = Some(many);
            return Ok(());
        }
        let Compared { route, mapping, store, grace, .. } = &self.settings;
        let beside = Beside { store, source: route.source.as_ref(), mapping };
        let grace = SignedDuration::try_from(*grace).unwrap_or(SignedDuration::MAX);
        let before = Timestamp::now().saturating_sub(grace).unwrap_or(Timestamp::MIN);
        // After an error it begins anew.
        let known = self.looked.take().filter(|known| known.begun.elapsed() < FROM_THE_START);
        let mut looked = known.unwrap_or_else(Looked::from_the_start);
        let (mut after, mut count) = (looked.next(since), 0);
        let is_cut = loop {
            let found = beside.purchases_after(&after, before, TOGETHER as i64).await;
            let found = found.map_err(|fault| fault.problem("purchases.sql cannot be run"))?;
            count += found.len();
            for (_, key) in &found {
                let digest = envelope::digest(key.as_bytes());
                if looked.keys.len() < REMEMBERED {
                    looked.keys.insert(digest);
                }
                if !self.seen.contains(&digest) {
                    self.tally.note(key, Some((Difference::NoEvent, String::new())));
                }
            }
            if let Some((at, key)) = found.last() {
                looked.until = looked.until.max(Some(*at));
                after = Place { at: Some(*at), key: Some(key.clone()) };
            }
            if found.len() < TOGETHER {
                break None;
            }
            if count >= PURCHASES || Instant::now() >= until {
                break Some(after.clone());
            }
        };
        self.report.is_cut = is_cut.as_ref().map(|place| {
            let at = place.at.unwrap_or(since);
            format!("purchases after {at}: the next comparison goes on there")
        });
        looked.goes_on = is_cut;
        self.report.purchases = looked.keys.len() as u64;
        self.looked = Some(looked);
        self.report.since = Some(since);
        Ok(())
    }
}
