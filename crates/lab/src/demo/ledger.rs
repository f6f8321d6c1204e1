//! The demo's own book: what was paid and what was sent. The judge compares it with the purchases and believes nobody.

use std::collections::{BTreeMap, BTreeSet};

use comfy_table::{CellAlignment, Table, presets};
use uuid::Uuid;

use super::observer::DemoState;
use super::script::{Fate, Kind, Payment};
use rules::problem::{Code, Problem};

/// What was paid and sent so far.
#[derive(Debug, Default)]
pub struct Ledger {
    paid: BTreeMap<Uuid, Payment>,
    fates: BTreeMap<Fate, BTreeSet<Uuid>>,
    sent: BTreeMap<Kind, usize>,
}

/// A row of the host's table of purchases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purchase {
    /// The payment it is for.
    pub payment: Uuid,
    /// Whose it is.
    pub student: Uuid,
    /// What was bought.
    pub course: Uuid,
    /// For how much.
    pub amount: String,
}

impl Ledger {
    /// Notes a payment; false when it is in the book already.
    pub fn pay(&mut self, payment: &Payment) -> bool {
        if payment.fate.is_success() {
            self.paid.insert(payment.id, payment.clone());
        }
        self.fates.entry(payment.fate).or_default().insert(payment.id)
    }

    /// Notes that a record of the other producer was acknowledged.
    pub fn sent(&mut self, kind: Kind) {
        *self.sent.entry(kind).or_default() += 1;
    }

    /// How many payments succeeded.
    pub fn paid(&self) -> usize {
        self.paid.len()
    }

    /// How many events were published in transactions that were committed.
    pub fn published(&self) -> usize {
        self.paid() + self.of(Fate::Failed)
    }

    /// How many records there have to be in the topic, each event of the outbox counted once.
    pub fn records(&self) -> usize {
        self.published() + self.sent.values().sum::<usize>()
    }

    fn of(&self, fate: Fate) -> usize {
        self.fates.get(&fate).map_or(0, BTreeSet::len)
    }

    /// What was paid and sent, in two sentences.
    pub fn in_words(&self) -> [String; 2] {
        let of = |kind| self.sent.get(&kind).copied().unwrap_or(0);
        let payments = format!(
            "{} payments, of which {} failed and {} were rolled back; {} were committed late",
            self.fates.values().map(BTreeSet::len).sum::<usize>(),
            self.of(Fate::Failed),
            self.of(Fate::RolledBack),
            self.of(Fate::PaidLate),
        );
        let records = format!(
            "{} records: {} events once more, {} again much later, {} under a new event id, {} of another type, {} broken",
            self.sent.values().sum::<usize>(),
            of(Kind::Duplicate),
            of(Kind::Resent),
            of(Kind::NewId),
            of(Kind::OtherType),
            of(Kind::Broken),
        );
        [payments, records]
    }

    /// Compares the book with what is in the database: all purchases, and what a look at makegood gave.
    pub fn judge(&self, purchases: &[Purchase], look: &DemoState) -> Verdict {
        let mut by_payment: BTreeMap<Uuid, Vec<&Purchase>> = BTreeMap::new();
        for purchase in purchases {
            by_payment.entry(purchase.payment).or_default().push(purchase);
        }
        let differs = |purchase: &&Purchase| {
            self.paid.get(&purchase.payment).is_some_and(|paid| {
                (paid.student, paid.course, &paid.amount)
                    != (purchase.student, purchase.course, &purchase.amount)
            })
        };
        Verdict {
            paid: self.paid.len(),
            purchases: purchases.len(),
            missing: self.paid.keys().filter(|id| !by_payment.contains_key(id)).count(),
            duplicates: by_payment.values().filter(|rows| rows.len() > 1).count(),
            wrong: purchases.iter().filter(differs).count(),
            unpaid: by_payment.keys().filter(|id| !self.paid.contains_key(id)).count(),
            quarantined: look.quarantined,
            sent: look.published,
            published: self.published(),
            pending: look.pending,
            broken: self.sent.get(&Kind::Broken).copied().unwrap_or(0),
        }
    }
}

/// What the comparison found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Payments that succeeded.
    pub paid: usize,
    /// Purchases in the database.
    pub purchases: usize,
    /// Payments without a purchase.
    pub missing: usize,
    /// Payments with more than one purchase.
    pub duplicates: usize,
    /// Purchases that differ from their payment in student, course or amount.
    pub wrong: usize,
    /// Purchases that nobody paid for.
    pub unpaid: usize,
    /// Events that went through the outbox.
    pub sent: usize,
    /// Events published in committed transactions.
    pub published: usize,
    /// Events still in the outbox.
    pub pending: usize,
    /// Records in quarantine.
    pub quarantined: usize,
    /// Broken records sent, all of which belong there.
    pub broken: usize,
}

impl Verdict {
    /// The numbers as a table, each with what it should be.
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(["", "found", "expected", ""]);
        for (what, found, expected) in self.rows() {
            let mark = if found == expected { "" } else { "<-- wrong" };
            table.add_row([what, &found.to_string(), &expected.to_string(), mark]);
        }
        for column in table.column_iter_mut().skip(1).take(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table.trim_fmt()
    }

    /// Nothing missing, nothing twice, nothing wrong: or a problem that names what is.
    pub fn outcome(&self) -> Result<(), Problem> {
        let wrong = self.rows().into_iter().filter(|(_, found, expected)| found != expected);
        let wrong: Vec<String> = wrong
            .map(|(what, found, expected)| format!("{what}: {found}, not {expected}"))
            .collect();
        if wrong.is_empty() {
            return Ok(());
        }
        Err(Problem::new(Code::System, format!("the promise was broken: {}", wrong.join("; "))))
    }

    fn rows(&self) -> [(&'static str, usize, usize); 8] {
        [
            ("payments with a purchase missing", self.missing, 0),
            ("payments with two purchases", self.duplicates, 0),
            ("purchases that differ from their payment", self.wrong, 0),
            ("purchases nobody paid for", self.unpaid, 0),
            ("purchases", self.purchases, self.paid),
            ("events through the outbox", self.sent, self.published),
            ("events still in the outbox", self.pending, 0),
            ("broken records in quarantine", self.quarantined, self.broken),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::Script;
    use super::*;

    /// A book of ten payments, and the purchases that would be right.
    fn book() -> (Ledger, Vec<Purchase>) {
        let (mut ledger, mut script) = (Ledger::default(), Script::new(1, 0));
        let mut right = Vec::new();
        for _ in 0..10 {
            let payment = script.one_more().payment;
            assert!(ledger.pay(&payment) && !ledger.pay(&payment));
            right.push(Purchase {
                payment: payment.id,
                student: payment.student,
                course: payment.course,
                amount: payment.amount,
            });
        }
        (ledger, right)
    }

    fn look() -> DemoState {
        DemoState { published: 10, ..DemoState::default() }
    }

    #[test]
    fn what_is_right_passes() {
        let (ledger, right) = book();
        ledger.judge(&right, &look()).outcome().unwrap();
    }

    #[test]
    fn each_kind_of_wrong_is_found_and_named() {
        let (ledger, right) = book();
        let named = |purchases: &[Purchase], look: DemoState| {
            let problem = ledger.judge(purchases, &look).outcome().unwrap_err();
            assert_eq!(problem.code.exit(), 1);
            problem.reason
        };
        assert!(named(&right[1..], look()).contains("purchase missing: 1"));
        assert!(named(&[&right[..], &right[..1]].concat(), look()).contains("two purchases: 1"));
        let mut other = right.clone();
        other[4].amount = "0.01".into();
        assert!(named(&other, look()).contains("differ from their payment: 1"));
        let mut unpaid = right.clone();
        unpaid.push(Purchase { payment: Uuid::new_v4(), ..right[0].clone() });
        assert!(named(&unpaid, look()).contains("nobody paid for: 1"));
        let found = |look: DemoState| named(&right, look);
        assert!(found(DemoState { quarantined: 1, ..look() }).contains("quarantine: 1, not 0"));
        assert!(
            found(DemoState { published: 9, ..look() }).contains("through the outbox: 9, not 10")
        );
        assert!(found(DemoState { pending: 1, ..look() }).contains("in the outbox: 1, not 0"));
    }
}
