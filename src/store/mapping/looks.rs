//! The part of a mapping that only reads: what the reconciler and `explain` look at.

use std::fs;
use std::path::Path;

use tokio_postgres::types::Type;

use super::{Columns, Mapping, Unfit, breach};
use crate::pure::problem::{Code, Problem};
use crate::store::{Fault, Store};

const INDEX: &str = "-- makegood: index ";

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

/// The statements, each as the operator wrote it; `None` for a file that a folder does not have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Looks {
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

    /// The compiled-in ones.
    pub(super) fn built_in() -> Looks {
        let text = |sql: &str| Some(sql.to_owned());
        Looks {
            missing: text(include_str!("../../../sql/purchases/missing.sql")),
            conflicts: text(include_str!("../../../sql/purchases/conflicts.sql")),
            payments: text(include_str!("../../../sql/purchases/payments.sql")),
            purchases: text(include_str!("../../../sql/purchases/purchases.sql")),
            lookup: text(include_str!("../../../sql/purchases/lookup.sql")),
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
        Ok(Looks {
            missing: read("missing.sql")?,
            conflicts: read("conflicts.sql")?,
            payments: read("payments.sql")?,
            purchases: read("purchases.sql")?,
            lookup: read("lookup.sql")?,
        })
    }
}

impl Mapping {
    /// Checks the contract of the statements that read, each against the database that it reads;
    /// `source` is the payments' database, if it is not the one with the purchases.
    pub async fn check_looks(&self, store: &Store, source: Option<&Store>) -> Result<(), Unfit> {
        let looks = &self.looks;
        let checks = match source {
            None => vec![
                (store, "missing.sql", &looks.missing, &WINDOW[..], MISSING),
                (store, "conflicts.sql", &looks.conflicts, &WINDOW[..], CONFLICTS),
                (store, "lookup.sql", &looks.lookup, &[Type::TEXT][..], LOOKUP),
            ],
            Some(source) => vec![
                (source, "payments.sql", &looks.payments, &WINDOW[..], PAYMENTS),
                (store, "purchases.sql", &looks.purchases, &WINDOW[..], PURCHASES),
            ],
        };
        for (store, name, sql, params, columns) in checks {
            let Some(sql) = sql else { continue };
            let statement = store.describe(sql).await?;
            if let Some(what) = breach(&statement, params, columns) {
                let cause = format!("the mapping's {name} ({}) {what}", self.origin);
                return Err(Unfit::Broken(Problem::new(Code::Mapping, cause).hint(format!(
                    "the contract is at the top of {name} as shipped in sql/purchases"
                ))));
            }
        }
        Ok(())
    }

    /// The indexes that the windows need and that the database does not have, as statements that
    /// create them. makegood never creates one in the host's tables.
    pub async fn wanted_indexes(
        &self,
        store: &Store,
        source: Option<&Store>,
    ) -> Result<Vec<String>, Fault> {
        let sql = include_str!("../../../sql/core/index_on.sql");
        let looks = &self.looks;
        let texts = match source {
            None => [(store, &looks.missing), (store, &looks.conflicts)],
            Some(source) => [(source, &looks.payments), (store, &looks.purchases)],
        };
        let texts = texts.into_iter().filter_map(|(store, text)| Some((store, text.as_ref()?)));
        let lines = texts.flat_map(|(store, text)| indexes(text).map(move |index| (store, index)));
        let mut wanted = Vec::new();
        for (store, index) in lines {
            let rows = store.query(sql, &[&index.table, &index.columns]).await?;
            let create = format!(
                "CREATE INDEX CONCURRENTLY ON {} ({});",
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
