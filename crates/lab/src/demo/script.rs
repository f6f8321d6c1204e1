//! What happens in the shop, from a seed: payments with their events, and what another producer sends about them, with
//! all that goes wrong on the way.

use std::collections::VecDeque;

use fastrand::Rng;
use uuid::Uuid;

use rules::record::Record;

/// Within so many records the order is lost.
const WINDOW: usize = 16;
/// After so many records a producer restarts and sends the last ones once more.
const RESEND_EVERY: usize = 250;
/// How many those are.
const RESENT: usize = 40;
/// Of so many payments, one fails, and another one is rolled back.
const FAILED: usize = 50;
const ROLLED_BACK: usize = 50;
/// Each so-many-th payment is committed only when the next such one begins.
const LATE: usize = 40;
/// With each so-many-th payment comes a record that is broken.
const BROKEN: usize = 40;
/// These payments got a purchase by hand before their event came.
const BY_HAND: [usize; 2] = [3, 11];

/// One payment of the shop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Its id, the business key.
    pub id: Uuid,
    /// Who paid; the event's key.
    pub student: Uuid,
    /// What for.
    pub course: Uuid,
    /// How much, as the event and PostgreSQL write it.
    pub amount: String,
    /// The id of its event.
    pub event: Uuid,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It succeeded.
    Paid,
    /// It succeeded, and somebody made its purchase by hand before the event came.
    PaidAndBooked,
    /// It succeeded, in a transaction that stays open while later payments come and go.
    PaidLate,
    /// It failed: nobody may make a purchase of it.
    Failed,
    /// Its transaction was rolled back, and its event with it.
    RolledBack,
}

/// Why a record comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The payment's event, published in the payment's transaction.
    Published,
    /// The same event from another producer.
    Duplicate,
    /// The same event from another producer, much later, in a block.
    Resent,
    /// The same payment under a new event id: a producer that retried and made a new event.
    NewId,
    /// An event of another type.
    OtherType,
    /// Not readable, or not usable.
    Broken,
}

/// One record, and the payment that it is about.
#[derive(Clone, Debug)]
pub struct Sending {
    /// Why it comes.
    pub kind: Kind,
    /// The payment it is about.
    pub payment: Payment,
    /// The record.
    pub record: Record,
}

/// The whole story, one record after the other.
#[derive(Debug)]
pub struct Script {
    rng: Rng,
    written: usize,
    queue: VecDeque<Sending>,
}

impl Script {
    /// The story of `payments` payments; the same seed tells the same story.
    pub fn new(seed: u64, payments: usize) -> Script {
        let mut script = Script {
            rng: Rng::with_seed(seed),
            written: 0,
            queue: VecDeque::with_capacity(payments * 2),
        };
        let mut ordered: Vec<Sending> = (0..payments).flat_map(|_| script.scene()).collect();
        for window in ordered.chunks_mut(WINDOW) {
            script.rng.shuffle(window);
        }
        for block in ordered.chunks(RESEND_EVERY) {
            script.queue.extend(block.iter().cloned());
            let sane =
                block.iter().filter(|s| s.kind != Kind::Broken && s.payment.fate.is_success());
            let again =
                sane.rev().take(RESENT).map(|s| Sending { kind: Kind::Resent, ..s.clone() });
            let again: Vec<Sending> =
                if block.len() > RESENT { again.collect() } else { Vec::new() };
            script.queue.extend(again.into_iter().rev());
        }
        script
    }

    /// How many records are still to come.
    pub fn left(&self) -> usize {
        self.queue.len()
    }

    /// The next records, at most `count`.
    pub fn next(&mut self, count: usize) -> Vec<Sending> {
        self.queue.drain(..count.min(self.queue.len())).collect()
    }

    /// One more payment that succeeds, and its event.
    pub fn one_more(&mut self) -> Sending {
        let payment = self.payment(Fate::Paid);
        let record = payment.event();
        Sending { kind: Kind::Published, payment, record }
    }

    /// A payment and its records, in order.
    fn scene(&mut self) -> Vec<Sending> {
        let number = self.written;
        let fate = match number {
            _ if BY_HAND.contains(&number) => Fate::PaidAndBooked,
            _ if number % FAILED == FAILED - 1 => Fate::Failed,
            _ if number % ROLLED_BACK == ROLLED_BACK / 2 => Fate::RolledBack,
            _ if number % LATE == LATE - 1 => Fate::PaidLate,
            _ => Fate::Paid,
        };
        let payment = self.payment(fate);
        let send = |kind, record| Sending { kind, payment: payment.clone(), record };
        let event = payment.event();
        let mut records = vec![send(Kind::Published, event.clone())];
        if !fate.is_success() {
            return records;
        }
        if self.rng.u8(..100) < 10 {
            records.push(send(Kind::Duplicate, event));
        }
        if self.rng.u8(..100) < 2 {
            let record = payment.event_as(uuid(&mut self.rng), "PURCHASE_CONFIRMED");
            records.push(send(Kind::NewId, record));
        }
        if self.rng.u8(..100) < 5 {
            let record = payment.event_as(uuid(&mut self.rng), "RECEIPT_SENT");
            records.push(send(Kind::OtherType, record));
        }
        if number % BROKEN == BROKEN / 5 {
            // About a payment that never was: nothing paid is lost with it.
            let ghost = self.payment(Fate::Failed);
            self.written -= 1;
            records.push(send(Kind::Broken, ghost.broken(number / BROKEN)));
        }
        records
    }

    fn payment(&mut self, fate: Fate) -> Payment {
        self.written += 1;
        let rng = &mut self.rng;
        Payment {
            id: uuid(rng),
            student: uuid(rng),
            course: Uuid::from_u128(0xc0de_0000_4000_8000_0000_0000_0000 + rng.u128(..20)),
            amount: format!("{}.{:02}", rng.u32(1..5000), rng.u32(..100)),
            event: uuid(rng),
            fate,
        }
    }
}

impl Fate {
    /// Whether there has to be a purchase.
    pub fn is_success(self) -> bool {
        matches!(self, Fate::Paid | Fate::PaidAndBooked | Fate::PaidLate)
    }

    /// The type of the payment's event.
    pub fn event_type(self) -> &'static str {
        if self == Fate::Failed { "PAYMENT_FAILED" } else { "PURCHASE_CONFIRMED" }
    }
}

impl Payment {
    /// Its own event.
    fn event(&self) -> Record {
        self.event_as(self.event, self.fate.event_type())
    }

    /// The content of its own event.
    pub fn payload(&self) -> String {
        String::from_utf8(self.event().value.unwrap_or_default()).unwrap_or_default()
    }

    /// Its event with this id and type, in the topic's shape, keyed by student. The JSON is written as jsonb writes it:
    /// the outbox sends what jsonb makes of a payload, and what another producer sends is to have the same bytes.
    fn event_as(&self, event: Uuid, kind: &str) -> Record {
        let value = format!(
            r#"{{"data": {{"amount": "{}", "courseId": "{}", "currency": "INR", "paymentId": "{}", "studentId": "{}"}}, "eventId": "{event}", "eventType": "{kind}", "occurredAt": "2026-01-07T16:55:09Z"}}"#,
            self.amount, self.course, self.id, self.student
        );
        self.record(value.into_bytes())
    }

    /// A record about it that cannot be used; `variant` chooses how.
    fn broken(&self, variant: usize) -> Record {
        let mut value = self.event_as(self.event, "PURCHASE_CONFIRMED").value.unwrap_or_default();
        let text = String::from_utf8_lossy(&value).into_owned();
        match variant % 6 {
            0 => value.truncate(value.len() / 2),
            1 => value = text.replace("paymentId", "payment").into_bytes(),
            2 => value = text.replace(&self.amount, "a lot").into_bytes(),
            3 => value.insert(20, 0xff),
            4 => value = text.replace("eventType", "kind").into_bytes(),
            _ => value = text.replace(&self.amount, "12.345").into_bytes(),
        }
        self.record(value)
    }

    fn record(&self, value: Vec<u8>) -> Record {
        let key = Some(self.student.to_string().into_bytes());
        Record { key, value: Some(value), ..Record::default() }
    }
}

fn uuid(rng: &mut Rng) -> Uuid {
    uuid::Builder::from_random_bytes(rng.u128(..).to_be_bytes()).into_uuid()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn the_same_seed_tells_the_same_story() {
        let story = |seed| -> Vec<Record> {
            Script::new(seed, 200).next(usize::MAX).into_iter().map(|s| s.record).collect()
        };
        assert_eq!(story(7), story(7));
        assert_ne!(story(7), story(8));
    }

    #[test]
    fn every_kind_of_trouble_is_in_a_small_story_and_every_success_is_published() {
        let sent = Script::new(1, 300).next(usize::MAX);
        let mut kinds: BTreeMap<Kind, usize> = BTreeMap::new();
        sent.iter().for_each(|s| *kinds.entry(s.kind).or_default() += 1);
        assert_eq!(kinds.len(), 6, "{kinds:?}");
        let paid: BTreeSet<Uuid> =
            sent.iter().filter(|s| s.payment.fate.is_success()).map(|s| s.payment.id).collect();
        assert_eq!(kinds[&Kind::Published], 300);
        assert_eq!(paid.len(), 300 - 300 / FAILED - 300 / ROLLED_BACK);
    }

    #[test]
    fn each_broken_record_is_a_case_of_its_own() {
        let sent = Script::new(1, 2000).next(usize::MAX);
        let broken: Vec<_> = sent.iter().filter(|s| s.kind == Kind::Broken).collect();
        let values: BTreeSet<_> = broken.iter().map(|s| s.record.value.clone()).collect();
        assert_eq!(broken.len(), 2000 / BROKEN);
        assert_eq!(values.len(), broken.len());
    }
}
