//! `[[reconcile]]`: a job that looks for payments without a purchase.

use std::time::Duration;

use super::{SECOND, YEAR};
use crate::declare::section;
use crate::kinds::{count, maybe, share, text, within};

section! {
    /// One table for each job that looks for payments without a purchase. inbox names the route whose
    /// mapping and topic it uses. A route that no table names has such a job all the same, with these defaults, and with
    /// the route's name (the first route's is called purchases). `reconcile = []` at the top of the file turns them all off.
    pub struct Reconcile(Clone, Debug, PartialEq, Eq) {
        /// A name of its own, of a-z, 0-9 and -.
        name: String = "purchases", text().of_the_default_table();
        /// The route.
        inbox: String = "purchase-confirmed", text().of_the_default_table();
        /// Where the payments are, if not beside the purchases: a name from [databases].
        source: Option<String> = "", maybe();
        /// The time between two runs.
        every: Duration = "5m", within(SECOND, 100 * YEAR);
        /// How old a payment must be before its purchase counts as missing.
        grace: Duration = "2m", within(Duration::ZERO, YEAR);
        /// Between two runs that look at all payments again, not only at what is new: some commit late.
        sweep: Duration = "1d", within(SECOND, 100 * YEAR);
        /// How many payments one statement looks at.
        window: u64 = 100000, count(10_000_000);
        /// A run that would add more waits for approval.
        max_backfill: MaxBackfill;
    }
}

section! {
    /// The brake on a run.
    pub struct MaxBackfill(Clone, Debug, PartialEq, Eq) {
        /// At most so many purchases a run.
        rows: u64 = 10000, count(MANY);
        /// At most this share of the payments looked at.
        share: u8 = "50%", share();
        /// The share counts only from so many payments on.
        share_from: u64 = 1000, count(MANY);
    }
}

/// For numbers that only compare.
const MANY: u64 = u32::MAX as u64;
