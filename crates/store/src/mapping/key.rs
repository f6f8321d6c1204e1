//! The unique key that makes a second purchase for one payment impossible.

use tokio_postgres::Row;

use super::{Mapping, Unfit};
use crate::{Store, host_tables};
use rules::advice::run;
use rules::problem::{Code, Problem};
use rules::sql::quoted;

impl Mapping {
    /// Checks that the purchases have it.
    pub async fn check_key(&self, store: &Store) -> Result<(), Unfit> {
        let sql = include_str!("../../../../sql/core/unique_key.sql");
        let table = host_tables::find(store, std::slice::from_ref(&self.key.table)).await?;
        let rows =
            store.query(sql, &[&table.first().copied().flatten(), &self.key.columns]).await?;
        let is = |name: &str| rows.first().is_some_and(|row| row.get::<_, bool>(name));
        let table = &self.key.table;
        if !is("has_table") {
            return Err(self.broken(format!("names the table {table}, which does not exist here")));
        }
        let lacks = rows.first().and_then(|row| row.get::<_, Option<String>>("lacks"));
        if let Some(column) = lacks {
            let column = quoted(&column);
            return Err(
                self.broken(format!("names {table}.{column}, a column that does not exist"))
            );
        }
        match rows.first().filter(|_| !is("has_key")) {
            Some(row) => Err(Unfit::Broken(self.without_key(row))),
            None => Ok(()),
        }
    }

    /// Why there is no such key, and the way to one.
    fn without_key(&self, row: &Row) -> Problem {
        let (table, column) = (&self.key.table, &self.key.written());
        let (alone, that) = match self.key.is_composite() {
            true => ("and nothing else", "those columns"),
            false => ("alone", "that one column"),
        };
        let create = run(format_args!("CREATE UNIQUE INDEX CONCURRENTLY ON {table} ({column});"));
        let duplicates = run(format_args!(
            "SELECT {column}, count(*) FROM {table} GROUP BY {column} HAVING count(*) > 1;"
        ));
        let text = |name: &str| row.get::<_, Option<String>>(name);
        let (why, way) = if let Some(kind) = text("no_table") {
            (
                format!("{table} is a {kind}, which can have no unique index"),
                "name the table behind it, in the business-key line and in apply.sql".to_owned(),
            )
        } else if let Some(by) = text("partitioned_by") {
            let why = format!(
                "{table} is partitioned by {by} and has no unique index on {column} {alone}"
            );
            let way = match row.get("is_parted_otherwise") {
                true => format!(
                    "PostgreSQL takes none there that lacks the columns it is partitioned by. Either partition it by \
                     {column}, or keep the keys in a small table of their own: insert into that one first, with ON \
                     CONFLICT DO NOTHING RETURNING, then into {table} what came back, and name it in the business-key line"
                ),
                false => format!(
                    "Create it; that locks the table:\n{}",
                    run(format_args!("CREATE UNIQUE INDEX ON {table} ({column});"))
                ),
            };
            (why, way)
        } else if let Some(index) = text("unfinished") {
            (
                format!(
                    "the unique index {index} on {table} ({column}) is invalid: a CREATE INDEX CONCURRENTLY failed"
                ),
                format!(
                    "Drop it, and create it anew:\n{}\n{create}\nif that fails again, these are duplicates:\n{duplicates}",
                    run(format_args!("DROP INDEX CONCURRENTLY {index};"))
                ),
            )
        } else {
            (
                format!("{table} has no unique index on {column} {alone}"),
                format!(
                    "it must be valid, immediate, on {that} and without a WHERE. Create it:\n\
                     {create}\nif that fails, these are duplicates already:\n{duplicates}"
                ),
            )
        };
        let cause = format!("{why}, so nothing prevents two purchases for one payment");
        Problem::new(Code::BusinessKey, cause).advice(way)
    }
}
