//! Moves positions: first a plan, then the deed.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use jiff::{SpanRelativeTo, Timestamp, civil};

use super::survey::{RouteSurvey, survey};
use super::{execute, forgone, plan};
use crate::cli::print::Output;
use crate::cli::progress;
use crate::cli::session::Session;
use crate::config;
use crate::stop::blocking;
use crate::store::workers;
use rules::ids::Offset;
use rules::problem::{Code, Problem};
use rules::reset::{Target, from_csv, topic_spec};
use rules::schedule::earlier;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    to: To,
    /// The topic, and which of its partitions; not needed if there is only one route
    #[arg(long, value_name = "TOPIC[:0,1,…]", value_parser = topic_spec, conflicts_with = "route")]
    topic: Option<(String, Vec<i32>)>,
    /// The route, instead of its topic
    #[arg(long, value_name = "NAME")]
    route: Option<String>,
    /// Do it
    #[arg(long)]
    execute: bool,
    /// The group's name, where payments are given up
    #[arg(long, value_name = "GROUP")]
    confirm: Option<String>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Look into at most so many of the records that would be skipped
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    examine: usize,
    #[command(flatten)]
    output: Output,
}

/// Where to; one of them.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct To {
    /// To the oldest record there is
    #[arg(long)]
    to_earliest: bool,
    /// To the end of the log
    #[arg(long)]
    to_latest: bool,
    /// To where the position is; Kafka's offset is set to the same
    #[arg(long)]
    to_current: bool,
    /// To an offset
    #[arg(long, value_name = "OFFSET", value_parser = clap::value_parser!(i64).range(0..))]
    to_offset: Option<i64>,
    /// By so many records, backwards if negative
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    shift_by: Option<i64>,
    /// To the first record of a time or younger; UTC where no zone is given
    #[arg(long, value_name = "TIME", value_parser = datetime)]
    to_datetime: Option<Timestamp>,
    /// To the first record of so long ago or younger, such as PT1H30M or 90m
    #[arg(long, value_name = "DURATION", value_parser = ago)]
    by_duration: Option<std::time::Duration>,
    /// To the offsets in a file as `kafka-consumer-groups --export` writes it: topic,partition,offset
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
}

fn datetime(text: &str) -> Result<Timestamp, String> {
    let zoned = text.parse::<Timestamp>();
    // Kafka's tool takes a time without its zone, and takes it for UTC.
    let plain = || text.parse::<civil::DateTime>().and_then(|at| at.in_tz("UTC"));
    zoned.or_else(|_| plain().map(|at| at.timestamp())).map_err(|_| {
        "write a time such as 2026-01-07T16:55:09.000, or one with its zone".to_owned()
    })
}

fn ago(text: &str) -> Result<std::time::Duration, String> {
    let bad = || format!("`{text}` is no duration; write one such as PT1H30M or 90m");
    if !text.starts_with(['P', 'p']) {
        return config::duration(text);
    }
    let span: jiff::Span = text.parse().map_err(|_| bad())?;
    let days = SpanRelativeTo::days_are_24_hours();
    let duration = span.to_duration(days).map_err(|_| bad())?;
    duration.try_into().map_err(|_| bad())
}

pub(super) async fn run(session: &Session, args: &Args) -> Result<(), Problem> {
    let (inbox, only) = chosen(session, args)?;
    let survey = survey(session, inbox).await?;
    let targets = targets(&survey, args, &only).await?;
    let plan = plan::plan(&survey, &targets);
    progress::step("reading the records that would be given up");
    let forgone = forgone::look(session, &survey, &plan, args.examine).await?;
    plan::print(&survey, &plan, &forgone, args.output.output)?;
    for line in plan::told(&survey, &plan, &forgone) {
        say!("{line}");
    }
    let group = &inbox.group;
    let hinder = survey.owners.hinder(group);
    if !args.execute {
        if let Some(hinder) = hinder {
            say!("it cannot be done now: {}", hinder.reason);
        }
        let confirm = match plan.iter().any(|m| m.skips.is_some()) {
            true => format!("--execute --confirm {group} does it"),
            false => "--execute does it".to_owned(),
        };
        say!("nothing was changed; {confirm}");
        return Ok(());
    }
    if let Some(hinder) = hinder {
        return Err(hinder);
    }
    if plan.iter().any(|m| m.skips.is_some()) && args.confirm.as_ref() != Some(group) {
        let cause = "this skips records, and what was paid in them is left to the reconciler";
        let hint = format!("--confirm {group} says that it is meant");
        return Err(Problem::new(Code::Confirmation, cause).advice(hint));
    }
    execute::execute(session, &survey, &plan, &record(args)).await?;
    say!("moved, in PostgreSQL and in Kafka; `makegood offsets show` tells");
    Ok(())
}

/// The route, and the partitions that were named.
fn chosen<'s>(session: &'s Session, args: &Args) -> Result<(&'s config::Inbox, Vec<i32>), Problem> {
    let Some((topic, partitions)) = &args.topic else {
        return Ok((session.route(args.route.as_deref())?, Vec::new()));
    };
    let mut of_topic = session.config.inbox.iter().filter(|route| route.topic == *topic);
    match (of_topic.next(), of_topic.next()) {
        (Some(route), None) => Ok((route, partitions.clone())),
        (None, _) => {
            Err(Problem::new(Code::Usage, format!("no configured route reads topic {topic}"))
                .advice("`makegood config show` prints the routes"))
        }
        (Some(_), Some(_)) => {
            Err(Problem::new(Code::Usage, format!("several routes read topic {topic}"))
                .advice("say --route NAME instead"))
        }
    }
}

/// What is wanted of each partition.
async fn targets(
    survey: &RouteSurvey,
    args: &Args,
    only: &[i32],
) -> Result<BTreeMap<i32, Target>, Problem> {
    let log = &survey.look.log;
    let known = |partition: &i32| survey.partitions.contains_key(partition);
    let all: Vec<i32> = match only {
        [] => survey.partitions.keys().copied().collect(),
        named => named.to_vec(),
    };
    let no_partition = |partition: i32| {
        Problem::new(Code::Usage, format!("topic {} has no partition {partition}", log.topic))
    };
    let mut left_out = survey.look.left_out.iter();
    if let Some((partition, problem)) = left_out.find(|(p, _)| only.is_empty() || only.contains(p))
    {
        let cause = format!("partition {partition} cannot be moved: {}", problem.reason);
        let hint = format!("{}\nothers can be: --topic {}:PARTITION", problem.advice, log.topic);
        return Err(Problem { reason: cause, ..problem.clone() }.advice(hint));
    }
    if let Some(missing) = all.iter().find(|p| !known(p)) {
        return Err(no_partition(*missing));
    }
    let each = |target: Target| Ok(all.iter().map(|p| (*p, target)).collect());
    let time = match (args.to.to_datetime, args.to.by_duration) {
        (Some(at), _) => Some(at),
        (None, Some(age)) => Some(earlier(Timestamp::now(), age)),
        (None, None) => None,
    };
    match (&args.to, time) {
        (_, Some(time)) => {
            let (probe, asked) = (survey.probe.clone(), all.clone());
            let found =
                blocking(move || probe.at_time(&asked, time.as_millisecond())?.heard()).await?;
            Ok(all.iter().map(|p| (*p, Target::At(found.get(p).copied()))).collect())
        }
        (To { from_file: Some(file), .. }, _) => {
            let read = fs::read_to_string(file).map_err(|e| e.to_string());
            let offsets = read.and_then(|text| from_csv(&text, &log.group, &log.topic));
            let bad =
                |what: String| Problem::new(Code::Usage, format!("{}: {what}", file.display()));
            let mut offsets = offsets.map_err(bad)?;
            offsets.retain(|partition, _| only.is_empty() || only.contains(partition));
            if offsets.is_empty() {
                return Err(bad(format!(
                    "no line is of topic {} and group {}",
                    log.topic, log.group
                )));
            }
            match offsets.keys().find(|p| !known(p)) {
                Some(missing) => Err(no_partition(*missing)),
                None => Ok(offsets.into_iter().map(|(p, o)| (p, Target::Offset(o))).collect()),
            }
        }
        (To { to_offset: Some(offset), .. }, _) => each(Target::Offset(Offset(*offset))),
        (To { shift_by: Some(by), .. }, _) => each(Target::Shift(*by)),
        (To { to_earliest: true, .. }, _) => each(Target::Earliest),
        (To { to_latest: true, .. }, _) => each(Target::Latest),
        _ => each(Target::Current),
    }
}

/// Who moves it where to, and why: kept with the positions and the gaps.
fn record(args: &Args) -> String {
    let name = ["SUDO_USER", "LOGNAME", "USER"].iter().find_map(|name| std::env::var(name).ok());
    let who = format!("{}@{}", name.as_deref().unwrap_or("somebody"), workers::host());
    let to = &args.to;
    let wish = [
        (to.to_earliest, "earliest".to_owned()),
        (to.to_latest, "latest".to_owned()),
        (to.to_current, "current".to_owned()),
        (to.to_offset.is_some(), format!("offset {}", to.to_offset.unwrap_or_default())),
        (to.shift_by.is_some(), format!("{:+} records", to.shift_by.unwrap_or_default())),
        (to.to_datetime.is_some(), format!("{}", to.to_datetime.unwrap_or_default())),
        (
            to.by_duration.is_some(),
            format!("{} ago", config::show_duration(to.by_duration.unwrap_or_default())),
        ),
        (to.from_file.is_some(), "offsets in a file".to_owned()),
    ];
    let wish = wish.into_iter().find(|(is_it, _)| *is_it).map(|(_, wish)| wish).unwrap_or_default();
    let why = args.reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("reset by {who} to {wish}{why}").replace('\0', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_for_kafkas_tool_or_with_a_zone() {
        let at = "2026-01-07T16:55:09Z".parse::<Timestamp>().unwrap();
        assert_eq!(datetime("2026-01-07T16:55:09.000"), Ok(at));
        assert_eq!(datetime("2026-01-07T22:25:09+05:30"), Ok(at));
        assert!(datetime("yesterday").is_err());
        let hour = std::time::Duration::from_secs(3600);
        assert_eq!(ago("PT1H"), Ok(hour));
        assert_eq!(ago("P1DT1H"), Ok(25 * hour));
        assert_eq!(ago("60m"), Ok(hour));
        assert!(ago("P1Y").is_err() && ago("-PT1H").is_err() && ago("soon").is_err());
    }
}
