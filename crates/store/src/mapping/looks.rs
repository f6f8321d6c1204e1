//! The part of a mapping that only reads: what the reconciler and `explain` look at.

use std::fs;
use std::path::Path;

use tokio_postgres::types::Type;

use super::{BUILT_IN, Columns, FILES, Mapping, Unfit, breach};
use crate::payments_query::PaymentsQuery;
use crate::{Fault, Shape, Store, host_tables};
use rules::problem::{Code, Problem};
use rules::sql::unquoted;
use rules::statuses::Statuses;

const INDEX: &str = "-- makegood: index ";
const ROW: &str = "-- makegood: row ";

const WINDOW: [Type; 5] =
    [Type::TIMESTAMPTZ, Type::TEXT, Type::TIMESTAMPTZ, Type::INT8, Type::TEXT_ARRAY];
const MISSING: &Columns = &[
    ("business_key", Type::TEXT),
    ("paid_at", Type::TIMESTAMPTZ),
    ("event", Type::JSONB),
    ("compared", Type::INT8),
];
const CONFLICTS: &Columns = &[
    ("business_key", Type::TEXT),
    ("at", Type::TIMESTAMPTZ),
    ("kind", Type::TEXT),
    ("expected", Type::JSONB),
    ("found", Type::JSONB),
    ("compared", Type::INT8),
];
const PAYMENTS: &Columns = &[
    ("business_key", Type::TEXT),
    ("at", Type::TIMESTAMPTZ),
    ("state", Type::TEXT),
    ("terms", Type::JSONB),
    ("event", Type::JSONB),
];
const PURCHASES: &Columns =
    &[("business_key", Type::TEXT), ("at", Type::TIMESTAMPTZ), ("terms", Type::JSONB)];
const LOOKUP: &Columns = &[
    ("part", Type::TEXT),
    ("business_key", Type::TEXT),
    ("at", Type::TIMESTAMPTZ),
    ("contents", Type::JSONB),
];

const STRANGERS: &Columns = &[
    ("purchase", Type::TEXT),
    ("business_key", Type::TEXT),
    ("at", Type::TIMESTAMPTZ),
    ("contents", Type::JSONB),
    ("link", Type::TEXT),
];

/// The statements, each as the operator wrote it; `None` for a file that a folder does not have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looks {
    /// What people call the row that an event makes, where `apply.sql` says that it is no purchase.
    pub row: Option<String>,
    /// `missing.sql`: without it nothing of this mapping is reconciled.
    pub missing: Option<String>,
    /// `conflicts.sql`: without it no contradictions are looked for.
    pub conflicts: Option<String>,
    /// `payments.sql` and `purchases.sql`: what a job with a source needs in place of the two above.
    pub payments: Option<String>,
    /// See `payments`.
    pub purchases: Option<String>,
    /// `lookup.sql`: without it `explain` knows nothing of the host's tables.
    pub lookup: Option<String>,
    /// `strangers.sql`: without it no purchases made by hand are looked for before the first start.
    pub strangers: Option<String>,
    /// What the words of the payments' status mean.
    pub statuses: Statuses,
}

impl Looks {
    /// The texts of all of them.
    pub(super) fn texts(&self) -> [Option<&String>; 6] {
        let Looks { missing, conflicts, payments, purchases, lookup, strangers, .. } = self;
        [missing, conflicts, payments, purchases, lookup, strangers].map(Option::as_ref)
    }
}

/// One of the statements and its contract.
pub struct ReadStatement<'a> {
    /// Its file.
    pub file: &'static str,
    /// Its text, if the mapping has it.
    pub sql: Option<&'a str>,
    /// Whether it is run in the payments' database.
    pub in_source: bool,
    /// What it takes.
    params: &'static [Type],
    /// What it returns.
    columns: &'static Columns,
}

impl ReadStatement<'_> {
    /// The types of what its statement takes; what the words of the status mean is as it likes.
    pub(super) fn takes(&self, sql: &str) -> Vec<Type> {
        let mut params = self.params.to_vec();
        params.resize(params.len() + Statuses::taken(sql, params.len()), Type::TEXT_ARRAY);
        params
    }

    /// Whether nothing is reconciled without it.
    pub fn is_needed(&self) -> bool {
        ["missing.sql", "payments.sql", "purchases.sql"].contains(&self.file)
    }
}

/// An index that a look needs, as its index line names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// The table.
    pub table: String,
    /// The columns it must begin with.
    pub columns: Vec<String>,
}

impl Looks {
    /// The file without which nothing is reconciled, if it is not there. `elsewhere`: the payments are in
    /// another database.
    pub fn lacks(&self, elsewhere: bool) -> Option<&'static str> {
        match (elsewhere, &self.missing, &self.payments, &self.purchases) {
            (false, None, ..) => Some("missing.sql"),
            (true, _, None, _) => Some("payments.sql"),
            (true, _, _, None) => Some("purchases.sql"),
            _ => None,
        }
    }

    /// Those of a folder, or the compiled-in ones; whatever the mapping's other files are like.
    pub fn of(folder: Option<&Path>) -> Result<Looks, Problem> {
        folder.map_or_else(|| Ok(Looks::built_in()), Looks::load)
    }

    /// One of their statements, and what it is given of the status.
    pub fn ask<'a>(&'a self, sql: &'a str) -> PaymentsQuery<'a> {
        PaymentsQuery { sql, statuses: &self.statuses }
    }

    /// The compiled-in ones.
    pub(super) fn built_in() -> Looks {
        let text = |name: &str| {
            let file = FILES.iter().find(|(file, _)| *file == name);
            file.map(|(_, text)| (*text).to_owned())
        };
        Looks {
            missing: text("missing.sql"),
            conflicts: text("conflicts.sql"),
            payments: text("payments.sql"),
            purchases: text("purchases.sql"),
            lookup: text("lookup.sql"),
            strangers: text("strangers.sql"),
            row: None,
            statuses: Statuses::of(BUILT_IN).unwrap_or_default(),
        }
    }

    /// Those that a folder has.
    pub(super) fn load(folder: &Path) -> Result<Looks, Problem> {
        let read = |name: &str| {
            let file = folder.join(name);
            match fs::read_to_string(&file) {
                Ok(text) => Ok(Some(text)),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(e) => {
                    let cause = format!("cannot read {}: {e}", file.display());
                    Err(Problem::new(Code::Mapping, cause))
                }
            }
        };
        let apply = read("apply.sql")?.unwrap_or_default();
        let statuses = Statuses::of(&apply).map_err(|why| {
            let file = folder.join("apply.sql");
            let says = format!("{}, the lines about the status: {why}", file.display());
            Problem::new(Code::Mapping, says)
                .advice("docs/how-to/your-data.md has them; they are at the top of apply.sql as shipped in sql/purchases")
        })?;
        Ok(Looks {
            missing: read("missing.sql")?,
            conflicts: read("conflicts.sql")?,
            payments: read("payments.sql")?,
            purchases: read("purchases.sql")?,
            lookup: read("lookup.sql")?,
            strangers: read("strangers.sql")?,
            row: row(&apply),
            statuses,
        })
    }
}

impl Mapping {
    /// The statements that are run where the payments are beside the purchases, or are `elsewhere`.
    /// `strangers.sql` needs both, so there is none of it elsewhere.
    pub fn looks_for(&self, elsewhere: bool) -> Vec<ReadStatement<'_>> {
        let Looks { missing, conflicts, payments, purchases, lookup, strangers, .. } = &self.looks;
        let beside = [
            ("missing.sql", missing, &WINDOW[..], MISSING, false),
            ("conflicts.sql", conflicts, &WINDOW[..], CONFLICTS, false),
            ("lookup.sql", lookup, &[Type::TEXT][..], LOOKUP, false),
            ("strangers.sql", strangers, &[Type::INT8][..], STRANGERS, false),
        ];
        let apart = [
            ("payments.sql", payments, &WINDOW[..], PAYMENTS, true),
            ("purchases.sql", purchases, &WINDOW[..], PURCHASES, false),
        ];
        let looks = if elsewhere { apart.to_vec() } else { beside.to_vec() };
        (looks.into_iter())
            .map(|(file, sql, params, columns, in_source)| ReadStatement {
                file,
                sql: sql.as_deref(),
                in_source,
                params,
                columns,
            })
            .collect()
    }

    /// Checks the contract of the statements that read, each against the database that it reads;
    /// `source` is the payments' database, if it is not the one with the purchases.
    pub async fn check_looks(&self, store: &Store, source: Option<&Store>) -> Result<(), Unfit> {
        for look in self.looks_for(source.is_some()) {
            let store = source.filter(|_| look.in_source).unwrap_or(store);
            self.check_look(store, &look).await?;
        }
        Ok(())
    }

    /// Checks the contract of one of them, if the mapping has it.
    pub async fn check_look(&self, store: &Store, look: &ReadStatement<'_>) -> Result<(), Unfit> {
        let (file, Some(sql)) = (look.file, look.sql) else { return Ok(()) };
        let statement = match store.describe(sql).await {
            Ok(statement) => statement,
            Err(fault) => return Err(self.refused(store, file, sql, fault).await),
        };
        let Some(what) = breach(&statement, &look.takes(sql), look.columns) else { return Ok(()) };
        let cause = format!("the mapping's {file} ({}) {what}", self.origin);
        Err(Unfit::Broken(Problem::new(Code::Mapping, cause).advice(hint(file, &statement))))
    }

    /// The table that `missing.sql`, or `payments.sql`, names first: the payments'.
    pub fn payments_table(&self, elsewhere: bool) -> Option<String> {
        let text = if elsewhere { &self.looks.payments } else { &self.looks.missing };
        indexes(text.as_deref()?).next().map(|index| index.table)
    }

    /// The column of the payments' status table that windows go by, as its index line names it.
    pub fn time_of_status(&self, elsewhere: bool) -> Option<String> {
        let text = if elsewhere { &self.looks.payments } else { &self.looks.missing };
        let (table, _) = self.looks.statuses.column.as_ref()?;
        let index = indexes(text.as_deref()?).find(|index| index.table == *table)?;
        index.columns.into_iter().next()
    }

    /// The indexes that the windows need and that the database does not have, as statements that
    /// create them. makegood never creates one in the host's tables.
    pub async fn wanted_indexes(
        &self,
        store: &Store,
        source: Option<&Store>,
    ) -> Result<Vec<String>, Fault> {
        let sql = include_str!("../../../../sql/core/index_on.sql");
        let looks = &self.looks;
        let texts = match source {
            None => [(store, &looks.missing), (store, &looks.conflicts)],
            Some(source) => [(source, &looks.payments), (store, &looks.purchases)],
        };
        let texts = texts.into_iter().filter_map(|(store, text)| Some((store, text.as_ref()?)));
        let lines = texts.flat_map(|(store, text)| indexes(text).map(move |index| (store, index)));
        let mut wanted = Vec::new();
        for (store, index) in lines {
            let table = host_tables::find(store, std::slice::from_ref(&index.table)).await?;
            let table = table.first().copied().flatten();
            let columns: Vec<String> = index.columns.iter().map(|c| unquoted(c)).collect();
            let rows = store.query(sql, &[&table, &columns]).await?;
            // PostgreSQL makes none on a partitioned table without a lock.
            let is_partitioned = rows.first().is_some_and(|row| row.get(1));
            let create = format!(
                "CREATE INDEX{} ON {} ({});",
                if is_partitioned { "" } else { " CONCURRENTLY" },
                index.table,
                index.columns.join(", ")
            );
            let exists = rows.first().is_some_and(|row| row.get(0));
            if !exists && !wanted.contains(&create) {
                wanted.push(create);
            }
        }
        Ok(wanted)
    }

    /// The table that `payments.sql` reads first, if it has a thousand rows or more; `None` too where the file does not
    /// name it.
    pub async fn large_payments(&self, store: &Store) -> Result<Option<String>, Fault> {
        let first = self.looks.payments.as_deref().and_then(|text| indexes(text).next());
        let Some(index) = first else { return Ok(None) };
        // The operator's own words, as the rest of the file.
        let sql = format!("SELECT FROM {} OFFSET 999 LIMIT 1", index.table);
        Ok((!store.query_host(&sql, &[]).await?.is_empty()).then_some(index.table))
    }
}

/// The word of the row line.
fn row(apply: &str) -> Option<String> {
    let word = apply.lines().find_map(|line| line.strip_prefix(ROW))?.trim();
    (!word.is_empty()).then(|| word.chars().take(40).collect())
}

/// What to do about a statement that breaks its contract.
fn hint(name: &str, statement: &Shape) -> String {
    let zoneless = statement.columns.iter().find(|(_, t)| *t == Type::TIMESTAMP);
    match zoneless {
        Some((column, _)) => format!(
            "{column} comes from a column without a time zone: declare the zone wherever {name} selects that column, \
             as in updated_at AT TIME ZONE 'UTC', and wherever it compares it, as in \
             $1::timestamptz AT TIME ZONE 'UTC'; see the rules at the top of missing.sql as shipped in sql/purchases"
        ),
        None => format!("the contract is at the top of {name} as shipped in sql/purchases"),
    }
}

/// The indexes of a statement's index lines.
fn indexes(sql: &str) -> impl Iterator<Item = Index> {
    sql.lines().filter_map(|line| {
        let (table, rest) = line.strip_prefix(INDEX)?.trim().split_once('(')?;
        let columns = rest.strip_suffix(')')?.split(',').map(|c| c.trim().to_owned()).collect();
        Some(Index { table: table.trim().to_owned(), columns })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_lines_name_table_and_columns() {
        let looks = Looks::built_in();
        let found: Vec<Index> = indexes(looks.payments.as_deref().unwrap()).collect();
        let columns = ["updated_at", "id", "status"].map(str::to_owned).to_vec();
        assert_eq!(found, [Index { table: "payments".to_owned(), columns }]);
        for two in [looks.missing, looks.conflicts] {
            assert_eq!(indexes(two.as_deref().unwrap()).count(), 2);
        }
        assert_eq!(indexes("SELECT 1").count(), 0);
    }
}
