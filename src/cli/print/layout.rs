//! How rows are laid out: as a table where that fits, else so that nothing is cut, for ids are there to be copied.

use comfy_table::{ContentArrangement, Table, presets};

use super::{terminal, visible};

/// Rows under headings, without lines around them, ended by a line feed. On a terminal that is too narrow for them what
/// is the same in all rows stands above them; where that is not enough, each row is a sheet.
pub fn table_text(headings: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let columns = terminal().map(|(columns, _)| columns);
    laid_out(headings, rows.into_iter().collect(), columns)
}

fn laid_out(headings: &[&str], rows: Vec<Vec<String>>, columns: Option<usize>) -> String {
    let text = table(headings, &rows);
    let Some(columns) = columns.filter(|columns| !fits(&text, *columns)) else { return text };
    let same = same_in_all(headings.len(), &rows);
    // As few as possible: a column is easier to read than a line above.
    for taken in 1..=same.len() {
        let (above, below): (Vec<usize>, Vec<usize>) =
            (0..headings.len()).partition(|at| same[..taken].contains(at));
        let pick =
            |row: &Vec<String>| below.iter().filter_map(|at| row.get(*at).cloned()).collect();
        let text = table(
            &below.iter().map(|at| headings[*at]).collect::<Vec<_>>(),
            &rows.iter().map(pick).collect::<Vec<_>>(),
        );
        if fits(&text, columns) {
            let said = above
                .iter()
                .filter_map(|at| Some((headings[*at], rows.first()?.get(*at)?.clone())));
            let said: Vec<(&str, String)> = said.filter(|(_, cell)| !is_empty(cell)).collect();
            return [sheet_within(&said, Some(columns)), text].join(if said.is_empty() {
                ""
            } else {
                "\n"
            });
        }
    }
    let one = |row: &Vec<String>| {
        let filled = headings.iter().copied().zip(row.iter().cloned());
        let filled: Vec<(&str, String)> = filled.filter(|(_, cell)| !is_empty(cell)).collect();
        sheet_within(&filled, Some(columns))
    };
    rows.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// The columns that say the same in all of several rows, the widest first.
fn same_in_all(columns: usize, rows: &[Vec<String>]) -> Vec<usize> {
    let Some((first, others)) = rows.split_first().filter(|(_, others)| !others.is_empty()) else {
        return Vec::new();
    };
    let is_same = |at: &usize| others.iter().all(|row| row.get(*at) == first.get(*at));
    let mut same: Vec<usize> = (0..columns).filter(is_same).collect();
    same.sort_by_key(|at| std::cmp::Reverse(first.get(*at).map_or(0, |cell| cell.chars().count())));
    same
}

fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headings.to_vec());
    for row in rows {
        table.add_row(row.iter().map(|cell| visible(cell, false)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt() + "\n"
}

fn fits(text: &str, columns: usize) -> bool {
    text.lines().all(|line| line.chars().count() <= columns)
}

fn is_empty(cell: &str) -> bool {
    cell.is_empty() || cell == "-"
}

/// Names and values of one thing, a pair a line; on a terminal a long value is folded.
pub fn sheet(pairs: &[(&str, String)]) -> String {
    sheet_within(pairs, terminal().map(|(columns, _)| columns))
}

fn sheet_within(pairs: &[(&str, String)], columns: Option<usize>) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0) + 2;
    let line = |(name, value): &(&str, String)| {
        let value = visible(value, false);
        let value = match columns {
            Some(columns) => fold(&value, columns.saturating_sub(width), width),
            None => value,
        };
        format!("{name:width$}{value}\n")
    };
    pairs.iter().map(line).collect()
}

/// Words for a person: on a terminal they are folded.
pub fn folded(text: &str) -> String {
    terminal().map_or_else(|| text.to_owned(), |(columns, _)| fold(text, columns, 0))
}

/// Folds at spaces, but not within a command, which stands between backquotes; what follows is indented. What has no
/// space is left to the terminal.
fn fold(text: &str, width: usize, indent: usize) -> String {
    let mut folded = String::new();
    let (mut used, mut is_command) = (0, false);
    for word in text.split_inclusive(' ') {
        let length = word.trim_end().chars().count();
        if used > 0 && used + length > width && !is_command {
            folded.truncate(folded.trim_end().len());
            folded += "\n";
            folded.extend(std::iter::repeat_n(' ', indent));
            used = 0;
        }
        folded += word;
        used += word.chars().count();
        is_command ^= word.matches('`').count() % 2 == 1;
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_columns_without_lines_around_them() {
        let rows = [vec!["1".to_owned(), "yes".to_owned()], vec!["200".to_owned(), String::new()]];
        assert_eq!(table_text(&["ID", "IT IS"], rows), "ID   IT IS\n1    yes\n200\n");
    }

    #[test]
    fn what_is_too_wide_for_a_terminal_is_a_sheet_a_row_and_nothing_is_cut() {
        let id = "67e55044-10b1-426f-9247-bb680e5fe0c8";
        let row = |n: &str| vec![n.to_owned(), format!("{n}{id}"), "-".to_owned(), n.repeat(40)];
        let rows = vec![row("1"), row("2")];
        let headings = ["ID", "EVENT", "NONE", "DETAIL"];
        let wide = laid_out(&headings, rows.clone(), None);
        assert_eq!(wide.lines().count(), 3);
        assert_eq!(laid_out(&headings, rows.clone(), Some(200)), wide);
        let narrow = laid_out(&headings, rows, Some(80));
        assert!(narrow.lines().all(|line| line.len() <= 80), "{narrow}");
        assert_eq!(narrow.matches(id).count(), 2);
        assert!(!narrow.contains("NONE"), "{narrow}");
    }

    #[test]
    fn what_is_the_same_in_all_rows_is_said_once_where_that_makes_them_fit() {
        let row =
            |n: &str| vec!["workers".repeat(10), n.to_owned(), "-".to_owned(), "7".to_owned()];
        let told =
            laid_out(&["GROUP", "PARTITION", "NONE", "LAG"], vec![row("0"), row("1")], Some(80));
        let table = "PARTITION  NONE  LAG\n0          -     7\n1          -     7\n";
        assert_eq!(told, format!("GROUP  {}\n\n{table}", "workers".repeat(10)));
    }

    #[test]
    fn long_values_are_folded_at_spaces_and_commands_are_not() {
        assert_eq!(fold("one two three", 8, 2), "one two\n  three");
        assert_eq!(fold("see `makegood run` or wait", 8, 0), "see\n`makegood run`\nor wait");
        assert_eq!(fold("a-very-long-word", 8, 2), "a-very-long-word");
    }
}
