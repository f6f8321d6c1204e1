//! How checks look: a line each with its fix below, or one JSON document.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;

use super::print::{self, Format, Tone, visible};
use rules::checkup::{Check, Level, count};
use rules::problem::Problem;

/// Prints checks as they come and says by the exit code whether all is well: 1 with a FAIL or what was not looked
/// at, or, if `strict`, a WARN.
pub async fn show(
    mut heard: UnboundedReceiver<Check>,
    format: Format,
    strict: bool,
) -> Result<ExitCode, Problem> {
    let mut checks = Vec::new();
    while let Some(check) = heard.recv().await {
        match format {
            Format::Table if check.level != Level::Unseen => {
                print::toned(tone(check.level), &line(&check))?
            }
            Format::Jsonl => print::lines(std::iter::once(object(&check)))?,
            _ => {}
        }
        checks.push(check);
    }
    let [passed, warned, unseen, failed] =
        [Level::Pass, Level::Warn, Level::Unseen, Level::Fail].map(|level| count(&checks, level));
    let is_bad = failed + unseen > 0 || (strict && warned > 0);
    match format {
        Format::Table => {
            print::data(&not_looked_at(&checks))?;
            let unseen =
                if unseen > 0 { format!(", {unseen} not looked at") } else { String::new() };
            say!("{passed} passed, {warned} to look at, {failed} failed{unseen}");
        }
        Format::Json => print::document(json!({
            "ok": !is_bad, "passed": passed, "warned": warned, "failed": failed, "unseen": unseen,
            "checks": checks.iter().map(object).collect::<Vec<_>>(),
        }))?,
        Format::Jsonl => {}
    }
    Ok(if is_bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What was not looked at, a line for each of what is checked: the reasons stand above.
fn not_looked_at(checks: &[Check]) -> String {
    let mut names: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for check in checks.iter().filter(|check| check.level == Level::Unseen) {
        names.entry(&check.of).or_default().insert(check.name);
    }
    let line = |(of, names): (&str, BTreeSet<&str>)| {
        let of = if of.is_empty() { String::new() } else { format!("{of}: ") };
        let names = names.into_iter().collect::<Vec<_>>().join(", ");
        format!(
            "UNSEEN  {}\n",
            visible(&format!("{of}not looked at for what is said above: {names}"), false)
        )
    };
    names.into_iter().map(line).collect()
}

fn tone(level: Level) -> Tone {
    match level {
        Level::Pass => Tone::Good,
        Level::Warn => Tone::Warning,
        Level::Unseen | Level::Fail => Tone::Bad,
    }
}

fn line(check: &Check) -> String {
    let level = check.level.as_str().to_uppercase();
    let of = if check.of.is_empty() { String::new() } else { format!("{}: ", check.of) };
    let mut text = String::new();
    for (row, says) in check.says.lines().enumerate() {
        let head =
            if row == 0 { format!("{level}  {:22} {of}", check.name) } else { " ".repeat(29) };
        text.push_str(&format!("{head}{}\n", visible(says, false)));
    }
    for (row, fix) in check.fix.lines().enumerate() {
        let head = if row == 0 { "fix:" } else { "" };
        text.push_str(&format!("      {head:22} {}\n", visible(fix, false)));
    }
    text
}

fn object(check: &Check) -> Value {
    let filled = |text: &String| (!text.is_empty()).then(|| text.clone());
    json!({
        "level": check.level.as_str(), "name": check.name, "of": filled(&check.of),
        "says": check.says, "fix": filled(&check.fix),
    })
}
