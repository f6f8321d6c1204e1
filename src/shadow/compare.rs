//! What differed is looked at again, and purchases without an event are looked for.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::{Compared, REMEMBERED, Shadow, TOGETHER, ask};
use crate::store::payments::Place;
use crate::store::shadow::Beside;
use rules::envelope;
use rules::problem::Problem;
use rules::shadow::{Difference, judge};

impl Shadow {
    /// Looks again at what differed, and for purchases that no event tells of.
    pub(super) async fn compare(&mut self, until: Instant) -> Result<(), Problem> {
        self.look_again().await?;
        if self.report.is_read() {
            self.look_for_strangers(until).await?;
        }
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
        let Compared { route, mapping, store, grace, .. } = &self.settings;
        let beside = Beside { store, source: route.source.as_ref(), mapping };
        let grace = SignedDuration::try_from(*grace).unwrap_or(SignedDuration::MAX);
        let before = Timestamp::now().saturating_sub(grace).unwrap_or(Timestamp::MIN);
        let mut after = Place { at: Some(since), key: None };
        self.report.is_cut = None;
        let mut looked = 0;
        loop {
            let found = beside.purchases_after(&after, before, TOGETHER as i64).await;
            let found = found.map_err(|fault| fault.problem("purchases.sql cannot be run"))?;
            looked += found.len() as u64;
            for (_, key) in &found {
                if !self.seen.contains(&envelope::digest(key.as_bytes())) {
                    self.tally.note(key, Some((Difference::NoEvent, String::new())));
                }
            }
            let Some((at, key)) = found.last().filter(|_| found.len() == TOGETHER) else { break };
            after = Place { at: Some(*at), key: Some(key.clone()) };
            if Instant::now() >= until {
                self.report.is_cut = Some(format!("purchases after {at}: the time was up"));
                break;
            }
        }
        self.report.purchases = looked;
        self.report.since = Some(since);
        Ok(())
    }
}
