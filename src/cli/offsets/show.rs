//! Positions and gaps on a screen, or as JSON.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::survey::{RouteSurvey, survey};
use crate::cli::print::{self, Format, Output, or_dash};
use crate::cli::session::Session;
use crate::ingest::partition_state::Surveyed;
use crate::stop::blocking;
use crate::store::gaps::{self, OpenGap};
use rules::ids::Offset;
use rules::offsets::{self, start_at};
use rules::problem::Problem;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this route
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(session: &Session, args: &Args) -> Result<(), Problem> {
    let routes = match &args.route {
        Some(name) => vec![session.route(Some(name))?],
        None => session.config.inbox.iter().collect(),
    };
    let mut surveys = Vec::new();
    for route in &routes {
        let survey = survey(session, route).await?;
        let all_read = all_read(&survey).await?;
        surveys.push((survey, all_read));
    }
    let gaps: Vec<OpenGap> = (gaps::open(&session.store).await)
        .map_err(|f| f.problem("cannot read the gaps"))?
        .into_iter()
        .filter(|open| routes.iter().any(|route| route.name == open.route))
        .collect();
    for (survey, _) in &surveys {
        let topic = &survey.look.log.topic;
        for (partition, problem) in &survey.look.left_out {
            say!("partition {partition} of {topic} is left out: {}", problem.reason);
        }
    }
    let lines = surveys.iter().flat_map(|(survey, all_read)| {
        survey.partitions.iter().map(move |(p, one)| {
            let (known, next) = (&one.known, next_offset(one));
            let lag = offsets::lag(next, known.low, known.high, all_read.contains(p));
            Line { survey, partition: *p, one, lag }
        })
    });
    match args.output.output {
        Format::Table => {
            let mut text = table(lines);
            if !gaps.is_empty() {
                text += &format!("\n{}", gap_table(&gaps));
                say!(
                    "never read, see below; the reconciler covers them with a sweep by itself (`makegood reconcile list`)"
                );
            }
            print::data(&text)
        }
        Format::Json => print::document(json!({
            "offsets": lines.map(object).collect::<Vec<_>>(),
            "gaps": gaps.iter().map(gap_object).collect::<Vec<_>>(),
        })),
        Format::Jsonl => print::lines(
            lines.map(object).chain(gaps.iter().map(|open| json!({ "gap": gap_object(open) }))),
        ),
    }
}

/// A partition as it is shown.
struct Line<'g> {
    survey: &'g RouteSurvey,
    partition: i32,
    one: &'g Surveyed,
    lag: i64,
}

/// The position; where there is none yet, where makegood would start: what has no lag raises no alarm.
fn next_offset(one: &Surveyed) -> Offset {
    one.known.postgres.unwrap_or_else(|| start_at(one.policy, one.known).offset)
}

/// The partitions whose log goes on behind the position with nothing that a consumer is given. One that cannot be read
/// is none of them.
async fn all_read(survey: &RouteSurvey) -> Result<BTreeSet<i32>, Problem> {
    let next: Vec<(i32, Offset)> =
        survey.partitions.iter().map(|(p, one)| (*p, next_offset(one))).collect();
    let (probe, ends) = (survey.probe.clone(), survey.look.ends.clone());
    let first = blocking(move || probe.first_waiting(&ends, next.into_iter())).await?.records;
    Ok(first.into_iter().filter(|(_, record)| record.is_none()).map(|(p, _)| p).collect())
}

fn table<'g>(lines: impl Iterator<Item = Line<'g>>) -> String {
    let headings = [
        "GROUP",
        "TOPIC",
        "PARTITION",
        "CURRENT-OFFSET",
        "LOG-END-OFFSET",
        "LAG",
        "POSITION",
        "LOG-START",
        "EPOCH",
        "OWNER",
    ];
    let offset = |offset: Option<Offset>| or_dash(offset.map(|offset| offset.to_string()));
    let rows = lines.map(|Line { survey, partition, one, lag }| {
        let log = &survey.look.log;
        vec![
            log.group.clone(),
            log.topic.clone(),
            partition.to_string(),
            offset(one.known.kafka),
            one.known.high.to_string(),
            lag.to_string(),
            offset(one.known.postgres),
            one.known.low.to_string(),
            or_dash(one.position.as_ref().map(|p| p.epoch.to_string())),
            or_dash(survey.owners.of(partition)),
        ]
    });
    print::table_text(&headings, rows)
}

fn object(Line { survey, partition, one, lag }: Line<'_>) -> Value {
    let log = &survey.look.log;
    json!({
        "route": survey.route.settings.name, "group": log.group, "topic": log.topic,
        "topic_id": survey.topic_id(), "partition": partition, "current_offset": one.known.kafka,
        "log_start_offset": one.known.low, "log_end_offset": one.known.high, "lag": lag,
        "position": one.known.postgres, "epoch": one.position.as_ref().map(|p| p.epoch),
        "owner": survey.owners.of(partition),
    })
}

fn gap_table(gaps: &[OpenGap]) -> String {
    let headings =
        ["NEVER READ", "TOPIC", "PARTITION", "FROM", "TO", "OFFSETS", "FOUND (UTC)", "WHY"];
    let rows = gaps.iter().map(|open| {
        let gap = &open.gap;
        vec![
            format!("gap {}", open.id),
            open.topic.clone(),
            gap.partition.to_string(),
            gap.from.to_string(),
            (gap.to - 1).to_string(),
            (gap.to - gap.from).to_string(),
            print::short(open.found_at),
            gap.reason.clone(),
        ]
    });
    print::table_text(&headings, rows)
}

fn gap_object(open: &OpenGap) -> Value {
    let gap = &open.gap;
    json!({
        "gap": open.id, "route": open.route, "topic": open.topic, "topic_id": open.topic_id,
        "partition": gap.partition, "from": gap.from, "to": gap.to, "reason": gap.reason,
        "found_at": open.found_at,
    })
}
