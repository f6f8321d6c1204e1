//! What can be copied out of an advice: statements and commands that run as they stand.

/// How a statement begins; it ends with a semicolon, and one with a gap in it is none.
const VERBS: [&str; 10] = [
    "ALTER ",
    "CREATE ",
    "DROP ",
    "GRANT ",
    "INSERT ",
    "REVOKE ",
    "ROLLBACK ",
    "SELECT ",
    "UPDATE ",
    "VALIDATE ",
];
/// How a command begins that stands between backquotes.
const PROGRAMS: [&str; 5] = ["makegood ", "systemctl ", "sudo ", "docker ", "kafka-"];

/// The statements and commands of an advice, in their order, each once.
pub fn statements(advice: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for line in advice.lines() {
        let mut rest = line;
        while let Some((at, end)) = next(rest) {
            let text = rest[at..end].trim();
            if !found.iter().any(|known| known == text) {
                found.push(text.to_owned());
            }
            // The backquote that ends a command begins no other.
            rest = rest[end..].trim_start_matches('`');
        }
    }
    found
}

/// Where the next one begins and ends.
fn next(line: &str) -> Option<(usize, usize)> {
    statement(line).into_iter().chain(command(line)).min()
}

fn statement(line: &str) -> Option<(usize, usize)> {
    let is_start = |at: usize| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && c != '_')
    };
    let mut starts: Vec<usize> = VERBS
        .iter()
        .flat_map(|verb| line.match_indices(verb).map(|(at, _)| at))
        .filter(|at| is_start(*at))
        .collect();
    starts.sort_unstable();
    starts.into_iter().find_map(|at| {
        let end = at + line[at..].find(';')? + 1;
        let text = &line[at..end];
        // One with a gap, or with a sentence in it, is none.
        (!text.contains('…') && !text.contains(": ") && !text.contains('`')).then_some((at, end))
    })
}

fn command(line: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    while let Some(open) = line[from..].find('`').map(|at| from + at + 1) {
        let end = open + line[open..].find('`')?;
        if PROGRAMS.iter().any(|program| line[open..end].starts_with(program)) {
            return Some((open, end));
        }
        from = end + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_as_it_stands_is_found_and_nothing_else() {
        let advice = "apply.sql (line 9) names it; t has b, perhaps that is its new name: change the mapping and send \
                      SIGHUP, or ALTER TABLE t RENAME COLUMN b TO a;";
        assert_eq!(statements(advice), ["ALTER TABLE t RENAME COLUMN b TO a;"]);
        let two = "GRANT INSERT ON a TO r; GRANT SELECT ON b TO r;";
        assert_eq!(statements(two), ["GRANT INSERT ON a TO r;", "GRANT SELECT ON b TO r;"]);
        assert_eq!(statements("or ALTER TABLE t ADD COLUMN a …;"), Vec::<String>::new());
        assert_eq!(
            statements("GRANT it what apply.sql needs, and check row security."),
            Vec::<String>::new()
        );
        assert_eq!(
            statements("let it finish, or end it: SELECT pg_terminate_backend(7);"),
            ["SELECT pg_terminate_backend(7);"]
        );
        let commands = "start one with `makegood run`, or `postgres.url`, or `kafka-topics --list`";
        assert_eq!(statements(commands), ["makegood run", "kafka-topics --list"]);
    }
}
