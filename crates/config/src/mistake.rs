//! Mistakes in the configuration, collected so that all of them are shown at once.

use rules::problem::{Code, Problem};

/// One mistake: where, what, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// `FILE:LINE`, the variable or the flag.
    pub at: String,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub fix: String,
}

/// All mistakes as one problem; `None` when there are none.
pub fn problem(mistakes: &[Mistake]) -> Option<Problem> {
    match mistakes {
        [] => None,
        [one] => Some(
            Problem::new(Code::Config, format!("{}: {}", one.at, one.what)).advice(one.fix.clone()),
        ),
        many => {
            let lines = |text: fn(&Mistake) -> String| -> Vec<String> {
                many.iter().enumerate().map(|(i, m)| format!("{}. {}", i + 1, text(m))).collect()
            };
            let causes = lines(|m| format!("{}: {}", m.at, m.what)).join("\n  ");
            let cause = format!("the configuration has {} mistakes\n  {causes}", many.len());
            Some(Problem::new(Code::Config, cause).advice(lines(|m| m.fix.clone()).join("\n")))
        }
    }
}

/// The name nearest to what was written, if one is near enough to be meant.
pub fn nearest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names
        .into_iter()
        .map(|name| (strsim::jaro_winkler(written, name), name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// Advice for an unknown name: the nearest, or all there are.
pub fn did_you_mean(written: &str, names: &[&str]) -> String {
    match nearest(written, names.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("known here: {}", names.join(", ")),
    }
}
