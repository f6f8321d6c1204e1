//! A real kafkajs worker, with one INSERT a message and no inbox, makes place for makegood and takes its place
//! back: nothing is lost, nothing doubled, and whoever stands in the way is named.

mod beside;
mod there_and_back;

use crate::commands::{run, stdout};
use crate::support::eventually;
use crate::support::rig::Rig;

/// What breaks the old worker's INSERT, and mends it.
const DRIFT: &str = "ALTER TABLE student_course_purchases RENAME COLUMN purchased_at TO start_date";
const MEND: &str = "ALTER TABLE student_course_purchases RENAME COLUMN start_date TO purchased_at";

/// The findings of doctor, as JSON text.
async fn doctor(rig: &Rig) -> String {
    stdout(&run(rig, &["doctor", "-o", "json"]).await)
}

/// Waits until nobody is in the group: a member that was killed lives on until its session is over.
async fn group_is_empty(rig: &Rig) {
    eventually("the group to be empty", || async {
        rig.probe().group().unwrap().members.is_empty().then_some(())
    })
    .await;
}
