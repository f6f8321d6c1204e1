//! Migrations as a script, for those who let no program change their schema.

use refinery::Migration;

use super::{ENCODING, SETTINGS, Set, lacking};
use crate::Store;
use rules::problem::Problem;

/// With IF NOT EXISTS alone, PostgreSQL asks for the right to make schemas even where this one is there.
const SCHEMA: &str = "DO $$ BEGIN
    IF to_regnamespace('makegood') IS NULL THEN
        CREATE SCHEMA makegood;
    END IF;
END $$;\n";

/// The SQL of some sets' migrations: all or nothing, and noted in their histories as if
/// [`up`](super::up) had applied them.
pub fn sql(sets: &[Set]) -> String {
    script(sets.iter().map(|set| (*set, set.known())))
}

/// The same of those that the database lacks; empty if it lacks none.
pub async fn missing_sql(store: &Store, sets: &[Set]) -> Result<String, Problem> {
    let mut missing = Vec::new();
    for set in sets {
        let migrations = lacking(set.known(), &set.names(store).await?);
        if !migrations.is_empty() {
            missing.push((*set, migrations));
        }
    }
    Ok(if missing.is_empty() { String::new() } else { script(missing) })
}

fn script(parts: impl IntoIterator<Item = (Set, Vec<Migration>)>) -> String {
    let local = SETTINGS.replace("SET ", "SET LOCAL ") + "; SET LOCAL lock_timeout = '10s'";
    let mut text = format!("BEGIN;\n{local};\n{ENCODING}{SCHEMA}");
    for (set, migrations) in parts {
        let history = set.history();
        // As refinery 0.10 makes it, and below writes and reads it.
        text += &format!(
            "CREATE TABLE IF NOT EXISTS {history} (\n    \
             version int4 PRIMARY KEY, name varchar(255), applied_on varchar(255), checksum varchar(255)\n);\n"
        );
        for migration in migrations {
            text += &format!("\n-- {migration}\n{}", migration.sql().unwrap_or_default());
            text += &format!(
                "\nINSERT INTO {history} VALUES ({}, '{}', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), '{}');\n",
                migration.version(),
                migration.name(),
                migration.checksum(),
            );
        }
    }
    text + "COMMIT;\n"
}
