//! Advice: sentences in which exactly what runs as it stands is between backquotes, a statement or a command.

use std::fmt::Display;

/// Marks what runs as it stands. What has a backquote in itself, as the name of a table may, is not offered: somebody's
/// name must not decide what people copy.
pub fn run(text: impl Display) -> String {
    let text = text.to_string();
    if text.contains('`') { plain(&text) } else { format!("`{text}`") }
}

/// A name or a text of somebody else's, in a sentence.
pub fn plain(text: &str) -> String {
    text.replace('`', "'")
}

/// What runs as it stands, in its order, each once.
pub fn runnable(advice: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for text in advice.split('`').skip(1).step_by(2) {
        if !found.contains(&text) {
            found.push(text);
        }
    }
    found
}

/// The sentences for somebody who is shown the statements by themselves; commands stay, for they read as names.
pub fn without_statements(advice: &str) -> String {
    let parts = advice.split('`').enumerate();
    let kept = parts.map(|(place, part)| match (place % 2 == 1, part.ends_with(';')) {
        (true, true) => String::new(),
        (true, false) => run(part),
        (false, _) => part.to_owned(),
    });
    let text = kept.collect::<String>();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = text.trim_end_matches([':', ',', ';', ' ']);
    text.strip_suffix(", or").or(text.strip_suffix(" or")).unwrap_or(text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_is_found_and_nothing_else() {
        let advice =
            format!("GRANT it, or {} {}", run("GRANT SELECT ON b TO r;"), run("makegood doctor"));
        assert_eq!(runnable(&advice), ["GRANT SELECT ON b TO r;", "makegood doctor"]);
        assert_eq!(runnable("end it; SELECT nothing"), Vec::<&str>::new());
        assert_eq!(runnable("`a` or `a`"), ["a"]);
        assert_eq!(without_statements(&advice), "GRANT it, or `makegood doctor`");
        assert_eq!(without_statements("change it, or `ALTER TABLE t;`"), "change it");
        assert_eq!(runnable(&run("DROP TABLE \"a`makegood run`\";")), Vec::<&str>::new());
    }
}
