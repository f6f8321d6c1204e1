//! Positions and gaps on a screen, or as JSON.

use serde_json::{Value, json};

use super::ground::{Ground, ground};
use crate::cli::print::{self, Format, Output, or_dash};
use crate::cli::session::Session;
use crate::ingest::partition_state::Surveyed;
use crate::store::gaps::{self, Open};
use rules::offsets::start_at;
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
    let mut grounds = Vec::new();
    for route in &routes {
        grounds.push(ground(session, route).await?);
    }
    let gaps: Vec<Open> = (gaps::open(&session.store).await)
        .map_err(|f| f.problem("cannot read the gaps"))?
        .into_iter()
        .filter(|open| routes.iter().any(|route| route.name == open.route))
        .collect();
    for ground in &grounds {
        let topic = &ground.look.log.topic;
        for (partition, problem) in &ground.look.left_out {
            say!("partition {partition} of {topic} is left out: {}", problem.reason);
        }
    }
    let lines = grounds.iter().flat_map(|g| g.partitions.iter().map(move |(p, s)| (g, *p, s)));
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

type Line<'g> = (&'g Ground, i32, &'g Surveyed);

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
    let number = |n: Option<i64>| or_dash(n.map(|n| n.to_string()));
    let rows = lines.map(|(ground, partition, one)| {
        let log = &ground.look.log;
        vec![
            log.group.clone(),
            log.topic.clone(),
            partition.to_string(),
            number(one.known.kafka),
            one.known.high.to_string(),
            lag(one).to_string(),
            number(one.known.postgres),
            one.known.low.to_string(),
            number(one.position.as_ref().map(|p| p.epoch.0)),
            or_dash(ground.owners.of(partition)),
        ]
    });
    print::table_text(&headings, rows)
}

/// Records waiting behind the position; where there is none yet, behind where makegood would start. There
/// is always a number, for what has none raises no alarm.
fn lag(one: &Surveyed) -> i64 {
    let start = || start_at(one.policy, one.known).offset;
    (one.known.high - one.known.postgres.unwrap_or_else(start).max(one.known.low)).max(0)
}

fn object((ground, partition, one): Line<'_>) -> Value {
    let log = &ground.look.log;
    json!({
        "route": ground.route.settings.name, "group": log.group, "topic": log.topic,
        "topic_id": ground.topic_id(), "partition": partition, "current_offset": one.known.kafka,
        "log_start_offset": one.known.low, "log_end_offset": one.known.high, "lag": lag(one),
        "position": one.known.postgres, "epoch": one.position.as_ref().map(|p| p.epoch),
        "owner": ground.owners.of(partition),
    })
}

fn gap_table(gaps: &[Open]) -> String {
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

fn gap_object(open: &Open) -> Value {
    let gap = &open.gap;
    json!({
        "gap": open.id, "route": open.route, "topic": open.topic, "topic_id": open.topic_id,
        "partition": gap.partition, "from": gap.from, "to": gap.to, "reason": gap.reason,
        "found_at": open.found_at,
    })
}
