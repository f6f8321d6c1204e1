//! What a reset would do, and how that reads.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Value, json};

use super::forgone::{Event, Forgone};
use super::survey::RouteSurvey;
use crate::cli::print::{self, Format, or_dash};
use crate::ingest::partition_state::Surveyed;
use rules::ids::{Offset, StepNumber};
use rules::offsets::{skipped, start_at};
use rules::problem::Problem;
use rules::reset::{Target, resolve};

/// How many events a screen names.
const SCREENFUL: usize = 20;

/// The move of one partition.
#[derive(Clone, Debug)]
pub(super) struct PlannedMove {
    pub partition: i32,
    /// The step that the move builds on.
    pub step: StepNumber,
    pub to: Offset,
    /// What was asked for lies beyond the log's ends.
    pub clamped: bool,
    /// What is left out, readable or gone.
    pub skips: Option<Range<Offset>>,
    /// How many offsets are read again.
    pub again: i64,
}

pub(super) fn plan(survey: &RouteSurvey, targets: &BTreeMap<i32, Target>) -> Vec<PlannedMove> {
    let of = |(partition, target): (&i32, &Target)| {
        let one = survey.partitions.get(partition)?;
        let known = one.known;
        let here = known.postgres.unwrap_or_else(|| start_at(one.policy, known).offset);
        let (to, clamped) = resolve(*target, here, known.low, known.high);
        Some(PlannedMove {
            partition: *partition,
            step: one.step(),
            to,
            clamped,
            skips: skipped(one.policy, known, to),
            again: known.postgres.map_or(0, |position| (position - to).max(0)),
        })
    };
    targets.iter().filter_map(of).collect()
}

pub(super) fn print(
    survey: &RouteSurvey,
    plan: &[PlannedMove],
    forgone: &Forgone,
    format: Format,
) -> Result<(), Problem> {
    let object = |m: &PlannedMove| object(survey, m);
    match format {
        Format::Table => print::data(&screen(survey, plan, forgone)),
        Format::Json => print::document(json!({
            "group": survey.look.log.group, "topic": survey.look.log.topic,
            "topic_id": survey.topic_id(), "route": survey.route.settings.name,
            "partitions": plan.iter().map(object).collect::<Vec<_>>(),
            "skipped": forgone.object(),
        })),
        Format::Jsonl => print::lines(plan.iter().map(object)),
    }
}

fn screen(survey: &RouteSurvey, plan: &[PlannedMove], forgone: &Forgone) -> String {
    let headings = [
        "GROUP",
        "TOPIC",
        "PARTITION",
        "CURRENT-OFFSET",
        "POSITION",
        "NEW-OFFSET",
        "LOG-END-OFFSET",
        "SKIPS",
        "READS AGAIN",
    ];
    let number = |n: Option<Offset>| or_dash(n.map(|n| n.to_string()));
    let rows = plan.iter().map(|m| {
        let log = &survey.look.log;
        let known = surveyed(survey, m).map(|one| one.known);
        vec![
            log.group.clone(),
            log.topic.clone(),
            m.partition.to_string(),
            number(known.and_then(|k| k.kafka)),
            number(known.and_then(|k| k.postgres)),
            m.to.to_string(),
            number(known.map(|k| k.high)),
            skips(m).to_string(),
            m.again.to_string(),
        ]
    });
    let mut text = print::table_text(&headings, rows);
    if !forgone.paid.is_empty() {
        text += &format!("\n{}", events(&forgone.paid));
    }
    text
}

fn events(paid: &[Event]) -> String {
    let headings =
        ["PAID, NO PURCHASE", "PARTITION", "OFFSET", "TIME (UTC)", "EVENT ID", "THE RECONCILER"];
    let rows = paid.iter().take(SCREENFUL).map(|e| {
        vec![
            or_dash(e.payment.clone()),
            e.partition.to_string(),
            e.offset.to_string(),
            or_dash(e.at.map(print::short)),
            e.event_id.to_string(),
            match e.known {
                Some(true) => "knows the payment".to_owned(),
                Some(false) => "does not know it".to_owned(),
                None => "cannot tell".to_owned(),
            },
        ]
    });
    print::table_text(&headings, rows)
}

fn surveyed<'g>(survey: &'g RouteSurvey, m: &PlannedMove) -> Option<&'g Surveyed> {
    survey.partitions.get(&m.partition)
}

fn skips(m: &PlannedMove) -> i64 {
    m.skips.as_ref().map_or(0, |range| range.end - range.start)
}

fn object(survey: &RouteSurvey, m: &PlannedMove) -> Value {
    let known = surveyed(survey, m).map(|one| one.known);
    json!({
        "partition": m.partition, "current_offset": known.and_then(|k| k.kafka),
        "position": known.and_then(|k| k.postgres), "new_offset": m.to,
        "log_start_offset": known.map(|k| k.low), "log_end_offset": known.map(|k| k.high),
        "skips": m.skips.as_ref().map(|range| json!({ "from": range.start, "to": range.end })),
        "reads_again": m.again,
    })
}

/// What a person should hear about the plan, a line each.
pub(super) fn told(survey: &RouteSurvey, plan: &[PlannedMove], forgone: &Forgone) -> Vec<String> {
    let mut lines = Vec::new();
    for m in plan.iter().filter(|m| m.clamped) {
        lines.push(format!(
            "partition {}: what was asked for lies outside of the log, {} is the nearest",
            m.partition, m.to
        ));
    }
    if forgone.paid.len() > SCREENFUL {
        lines.push(format!("the first {SCREENFUL} paid events are shown, -o json has all"));
    }
    let total: i64 = plan.iter().map(skips).sum();
    if total > 0 {
        lines.extend(forgone.told(total));
    }
    let again: i64 = plan.iter().map(|m| m.again).sum();
    if again > 0 {
        lines.push(format!(
            "{again} offsets would be read again; the inbox knows what was applied, and no payment gets a second purchase"
        ));
    }
    if survey.partitions.values().all(|one| one.position.is_none()) {
        lines
            .push("makegood has no position of this topic yet; this would be its first".to_owned());
    }
    lines
}
