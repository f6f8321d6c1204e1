//! How checks look: a line each with its fix below, or one JSON document.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::print::{self, Format, visible};
use crate::pure::checkup::{Check, Level, count};
use crate::pure::problem::Problem;

/// Prints checks and says by the exit code whether all is well: 1 with a FAIL, or, if `strict`, a WARN.
pub fn show(checks: &[Check], format: Format, strict: bool) -> Result<ExitCode, Problem> {
    let (failed, warned) = (count(checks, Level::Fail), count(checks, Level::Warn));
    let is_bad = failed > 0 || (strict && warned > 0);
    match format {
        Format::Table => {
            print::data(&checks.iter().map(line).collect::<String>())?;
            let passed = count(checks, Level::Pass);
            say!("{passed} passed, {warned} to look at, {failed} failed");
        }
        Format::Json => print::document(json!({
            "ok": !is_bad, "passed": count(checks, Level::Pass), "warned": warned, "failed": failed,
            "checks": checks.iter().map(object).collect::<Vec<_>>(),
        }))?,
        Format::Jsonl => print::lines(checks.iter().map(object))?,
    }
    Ok(if is_bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
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
