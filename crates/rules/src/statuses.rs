//! What the words in the payments' status mean: said once, in three lines of `apply.sql`, and handed to every statement
//! that asks.

use super::business_key::table_and_columns;
use super::draft::MARK;

const PAID: &str = "-- makegood: paid ";
const REFUNDED: &str = "-- makegood: refunded ";
const NOT_PAID: &str = "-- makegood: not-paid ";

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statuses {
    /// The payments' table and its column with the status, where the mapping names them; then every word there must be
    /// one of these.
    pub column: Option<(String, String)>,
    /// The payment succeeded.
    pub paid: Vec<String>,
    /// It did, and was given back.
    pub refunded: Vec<String>,
    /// It did not, or not yet.
    pub not_paid: Vec<String>,
}

impl Default for Statuses {
    /// Of a mapping without such lines.
    fn default() -> Statuses {
        Statuses {
            column: None,
            paid: vec!["succeeded".to_owned()],
            refunded: vec!["refunded".to_owned()],
            not_paid: Vec::new(),
        }
    }
}

impl Statuses {
    /// From the lines of a mapping; `Err` says which one cannot be used.
    pub fn of(sql: &str) -> Result<Statuses, String> {
        let line = |start: &str| sql.lines().find_map(|line| line.strip_prefix(start));
        let Some(paid) = line(PAID) else {
            return match line(REFUNDED).or(line(NOT_PAID)) {
                None => Ok(Statuses::default()),
                Some(_) => Err(format!(
                    "a line says what is not paid, and none what is: {PAID}payments(status) succeeded"
                )),
            };
        };
        let (table, columns, rest) = table_and_columns(paid)
            .filter(|(_, columns, rest)| columns.len() == 1 && !words(rest).is_empty())
            .ok_or_else(|| {
                format!("it cannot be used, write it like {PAID}payments(status) succeeded, PAID")
            })?;
        let statuses = Statuses {
            column: columns.into_iter().next().map(|column| (table, column)),
            paid: words(rest),
            refunded: line(REFUNDED).map(words).unwrap_or_default(),
            not_paid: line(NOT_PAID).map(words).unwrap_or_default(),
        };
        let known = statuses.known();
        if known.iter().any(|word| word.contains(MARK)) {
            return Err(format!("a line still says {MARK}: put the word that means it there"));
        }
        match known.iter().enumerate().find(|(at, word)| known[..*at].contains(word)) {
            Some((_, word)) => Err(format!("the status {word} is said to be two things")),
            None => Ok(statuses),
        }
    }

    /// All words that mean something.
    pub fn known(&self) -> Vec<String> {
        [&self.paid, &self.refunded, &self.not_paid].into_iter().flatten().cloned().collect()
    }

    /// How many of the lists of paid and of refunded words a statement takes, behind its `before` other parameters.
    pub fn taken(sql: &str, before: usize) -> usize {
        let takes = |number: usize| {
            let name = format!("${number}::text[]");
            let code = sql.lines().filter(|line| !line.trim_start().starts_with("--"));
            code.into_iter().any(|line| line.contains(&name))
        };
        (1..=2).rev().find(|more| takes(before + more)).unwrap_or(0)
    }
}

fn words(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_say_what_each_word_means() {
        let sql = format!(
            "{PAID}shop.payments(\"payStatus\") succeeded, PAID \n{REFUNDED}refunded\n{NOT_PAID}pending,on hold\n"
        );
        let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let said = Statuses::of(&sql).unwrap();
        assert_eq!(said.column, Some(("shop.payments".to_owned(), "payStatus".to_owned())));
        assert_eq!(said.paid, own(&["succeeded", "PAID"]));
        assert_eq!(said.known(), own(&["succeeded", "PAID", "refunded", "pending", "on hold"]));
        assert_eq!(Statuses::of("SELECT 1"), Ok(Statuses::default()));
        for wrong in [
            format!("{PAID}payments(status)"),
            format!("{PAID}succeeded"),
            format!("{PAID}payments(a, b) x"),
            format!("{PAID}payments(status) x\n{NOT_PAID}x"),
            format!("{REFUNDED}x"),
            format!("{PAID}payments(status) {MARK}"),
            format!("{PAID}payments(status) x\n{NOT_PAID}y, {MARK}"),
        ] {
            assert!(Statuses::of(&wrong).is_err(), "{wrong} was taken");
        }
    }

    #[test]
    fn a_statement_is_given_what_it_takes() {
        assert_eq!(Statuses::taken("-- $7::text[]\nSELECT $5::text[]", 5), 0);
        assert_eq!(Statuses::taken("SELECT $6::text[]", 5), 1);
        assert_eq!(Statuses::taken("SELECT $6::text[], $7::text[]", 5), 2);
        assert_eq!(Statuses::taken("SELECT $2::text[]", 1), 1);
    }
}
