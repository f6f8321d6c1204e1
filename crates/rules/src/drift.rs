//! Where a mapping's statement and the host's tables have drifted apart, and what would bring them together.

use super::advice::{plain, run};
use super::sql::{self, Names, quoted};

/// A column, as the catalogue has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as one would write it.
    pub kind: String,
    /// An insert must give it a value: NOT NULL, and nothing fills it.
    pub required: bool,
}

/// A table that a statement names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// As the statement names it.
    pub written: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// A trigger runs before each insert and may fill columns.
    pub has_trigger: bool,
    /// The role may read some of it.
    pub readable: bool,
    /// The role may insert into some of it.
    pub insertable: bool,
}

/// The part of the catalogue that a statement touches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// The tables it names that exist.
    pub tables: Vec<Table>,
    /// All tables that could be named without a schema.
    pub others: Vec<String>,
    /// The role that asks.
    pub role: String,
    /// Statements that would let it use the schemas of the tables that the statement names.
    pub schema_grants: Vec<String>,
    /// Statements that would let it use what the tables' defaults call: sequences and functions.
    pub default_grants: Vec<String>,
    /// Statements that would give exhausted sequences of the tables' defaults new numbers.
    pub more_numbers: Vec<String>,
}

/// A statement of a mapping.
#[derive(Clone, Copy, Debug)]
pub struct MappingStatement<'a> {
    /// Its file's name.
    pub file: &'a str,
    /// Its text.
    pub sql: &'a str,
    /// The text of all its files.
    pub mapping: &'a str,
    /// The table that holds the business key, and its columns as one writes them.
    pub key: (&'a str, &'a str),
}

/// What PostgreSQL said of it.
#[derive(Clone, Copy, Debug)]
pub struct ServerMessage<'a> {
    /// The five-character SQLSTATE.
    pub sqlstate: &'a str,
    /// The character of the statement it is about, counted from 1.
    pub position: Option<u32>,
    /// The table it is about; only constraints say so.
    pub table: Option<&'a str>,
    /// The column it is about; only NOT NULL says so.
    pub column: Option<&'a str>,
}

/// A column that every insert would leave empty although it may not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unset {
    /// The table.
    pub table: String,
    /// The column.
    pub column: Column,
}

/// Whether a SQLSTATE may mean that the tables or the grants have changed under a mapping.
pub fn is_drift(sqlstate: &str) -> bool {
    sqlstate.starts_with("42") || ["23502", "2200H", "3F000"].contains(&sqlstate)
}

/// The columns that a statement's inserts do not set, although nothing else does. A table with a trigger
/// that may is left out.
pub fn unset(sql: &str, catalogue: &Catalogue) -> Vec<Unset> {
    let mut found = Vec::new();
    for insert in sql::names(sql).inserts.iter().filter(|i| !i.columns.is_empty()) {
        let Some(table) = catalogue.table(&insert.table).filter(|t| !t.has_trigger) else {
            continue;
        };
        let left_out = |c: &&Column| c.required && !insert.columns.contains(&c.name);
        found.extend(
            table
                .columns
                .iter()
                .filter(left_out)
                .map(|column| Unset { table: table.written.clone(), column: column.clone() }),
        );
    }
    found
}

/// Whether a column of a type, as the catalogue writes it, rounds numbers of so many digits after the point.
pub fn rounds(kind: &str, scale: u32) -> bool {
    match kind {
        "smallint" | "integer" | "bigint" => scale > 0,
        "real" | "double precision" | "money" => true,
        _ => kind.strip_prefix("numeric(").is_some_and(|rest| {
            let digits = rest.trim_end_matches(')').split_once(',');
            digits.and_then(|(_, scale)| scale.parse::<u32>().ok()).is_none_or(|own| own < scale)
        }),
    }
}

impl Unset {
    /// The way out.
    pub fn fix(&self, file: &str) -> String {
        let (table, column) = (&self.table, quoted(&self.column.name));
        format!(
            "{file} does not set {} ({}): add it to the INSERT and send SIGHUP, or give the column a default, or {}",
            plain(&column),
            plain(&self.column.kind),
            run(format_args!("ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL;"))
        )
    }
}

/// The way out of a complaint, as exactly as the catalogue tells; `None` where it tells nothing.
pub fn fix(
    source: MappingStatement<'_>,
    said: ServerMessage<'_>,
    catalogue: &Catalogue,
) -> Option<String> {
    let names = sql::names(source.sql);
    match said.sqlstate {
        "42703" => column_gone(source, said, &names, catalogue),
        "42P01" | "3F000" => table_gone(source, said, catalogue),
        "42804" => Some(wrong_type(source, said, &names, catalogue)),
        "42P10" => {
            let (table, column) = source.key;
            Some(format!(
                "{} names an ON CONFLICT target without a unique index; give it one, {}, or change the mapping and send \
                 SIGHUP",
                place(source, said),
                run(format_args!("CREATE UNIQUE INDEX CONCURRENTLY ON {table} ({column});"))
            ))
        }
        "42501" => missing_grants(&names, catalogue),
        "23502" => empty_column(source, said, &names, catalogue),
        "2200H" => more_numbers(catalogue),
        _ => None,
    }
}

/// The file and, if it is known, the line.
fn place(source: MappingStatement<'_>, said: ServerMessage<'_>) -> String {
    match said.position {
        Some(at) => format!("{} (line {})", source.file, sql::line_of(source.sql, at)),
        None => source.file.to_owned(),
    }
}

fn column_gone(
    source: MappingStatement<'_>,
    said: ServerMessage<'_>,
    names: &Names,
    catalogue: &Catalogue,
) -> Option<String> {
    let (column, _) = sql::name_at(source.sql, said.position?)?;
    let insert = names.inserts.iter().find(|insert| said.position.is_some_and(|at| insert.has(at)));
    let table = match insert {
        Some(insert) => catalogue.table(&insert.table)?,
        // A column that is only read may be any table's: the one whose columns come nearest, else the
        // one with the purchases.
        None => catalogue
            .nearest_column(&column)
            .or_else(|| catalogue.table(source.key.0))
            .or(catalogue.tables.first())?,
    };
    let used = names.inserts.iter().find(|i| i.table == table.written);
    // What the mapping names elsewhere is needed under its own name.
    let is_free = |c: &&Column| {
        used.is_none_or(|insert| !insert.columns.contains(&c.name))
            && !sql::has_word(source.mapping, &c.name)
    };
    let free: Vec<&str> = table.columns.iter().filter(is_free).map(|c| c.name.as_str()).collect();
    let (written, wanted) = (&table.written, quoted(&column));
    let way = match likeliest(&column, &free) {
        Some(other) => format!(
            "{written} has {}, perhaps that is its new name: change the mapping and send SIGHUP, or {}",
            plain(&quoted(other)),
            run(format_args!("ALTER TABLE {written} RENAME COLUMN {} TO {wanted};", quoted(other)))
        ),
        None => {
            let has = match free.as_slice() {
                [] => String::new(),
                free => format!("{written} also has {}; ", plain(&free.join(", "))),
            };
            format!(
                "{has}change the mapping and send SIGHUP, or give {written} its column {wanted} back"
            )
        }
    };
    Some(format!("{} names it; {way}", place(source, said)))
}

fn table_gone(
    source: MappingStatement<'_>,
    said: ServerMessage<'_>,
    catalogue: &Catalogue,
) -> Option<String> {
    // It is there, in a schema that is not searched for who may not use it.
    if !catalogue.schema_grants.is_empty() {
        return Some(all(&catalogue.schema_grants));
    }
    let (table, _) = sql::name_at(source.sql, said.position?)?;
    let others: Vec<&str> = catalogue.others.iter().map(String::as_str).collect();
    let way = match likeliest(&table, &others) {
        Some(other) => format!(
            "there is {}, perhaps that is its new name: change the mapping and send SIGHUP, or {}",
            plain(&quoted(other)),
            run(format_args!("ALTER TABLE {} RENAME TO {};", quoted(other), quoted(&table)))
        ),
        None => "change the mapping and send SIGHUP, create it, or put its schema into the role's search_path"
            .to_owned(),
    };
    Some(format!("{} names it; {way}", place(source, said)))
}

fn wrong_type(
    source: MappingStatement<'_>,
    said: ServerMessage<'_>,
    names: &Names,
    catalogue: &Catalogue,
) -> String {
    let insert = names.inserts.first();
    let table = insert.and_then(|i| catalogue.table(&i.table));
    let has = table.zip(insert).map_or_else(String::new, |(table, insert)| {
        let typed: Vec<String> = (table.columns.iter())
            .filter(|c| insert.columns.contains(&c.name))
            .map(|c| plain(&format!("{} {}", quoted(&c.name), c.kind)))
            .collect();
        format!("; {} has {}", table.written, typed.join(", "))
    });
    format!(
        "{} gives it another type: cast to the column's type in the mapping and send SIGHUP, or \
         give the column its type back{has}",
        place(source, said)
    )
}

fn missing_grants(names: &Names, catalogue: &Catalogue) -> Option<String> {
    let mut grants: Vec<String> =
        [&catalogue.schema_grants[..], &catalogue.default_grants].concat();
    for table in &catalogue.tables {
        let inserts = names.inserts.iter().any(|insert| insert.table == table.written);
        let rights = match (table.readable, table.insertable || !inserts) {
            (true, true) => continue,
            (false, true) => "SELECT",
            (true, false) => "INSERT",
            (false, false) => "SELECT, INSERT",
        };
        grants.push(format!("GRANT {rights} ON {} TO {};", table.written, quoted(&catalogue.role)));
    }
    (!grants.is_empty()).then(|| all(&grants))
}

/// Statements that all have to be run.
fn all(statements: &[String]) -> String {
    statements.iter().map(run).collect::<Vec<_>>().join(" ")
}

/// A sequence has no number left.
fn more_numbers(catalogue: &Catalogue) -> Option<String> {
    let way = (!catalogue.more_numbers.is_empty()).then(|| all(&catalogue.more_numbers))?;
    let locks = catalogue.more_numbers.iter().any(|statement| statement.starts_with("ALTER TABLE"));
    let locks = if locks { ", which writes the table anew and locks it meanwhile" } else { "" };
    Some(format!("give it more numbers{locks}: {way}"))
}

fn empty_column(
    source: MappingStatement<'_>,
    said: ServerMessage<'_>,
    names: &Names,
    catalogue: &Catalogue,
) -> Option<String> {
    let (table, column) = said.table.zip(said.column)?;
    let insert = names.inserts.iter().find(|i| last(&i.table) == quoted(table))?;
    if insert.columns.iter().any(|c| c == column) {
        return Some(format!(
            "{} sets {} from a value that is not there: look at the event; if every record fails, \
             let the mapping reject such events, or {}",
            source.file,
            plain(column),
            run(format_args!(
                "ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL;",
                insert.table,
                quoted(column)
            ))
        ));
    }
    let table = catalogue.table(&insert.table)?;
    let column = table.columns.iter().find(|c| c.name == column)?.clone();
    Some(Unset { table: table.written.clone(), column }.fix(source.file))
}

impl Catalogue {
    fn table(&self, written: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.written == written)
    }

    /// The table with the column most like this one.
    fn nearest_column(&self, column: &str) -> Option<&Table> {
        let likeness = |table: &&Table| {
            let each = table.columns.iter().map(|c| strsim::jaro_winkler(column, &c.name));
            each.fold(0.0, f64::max)
        };
        let best = self.tables.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        best.filter(|table| likeness(table) > LIKE)
    }
}

/// Above this two names look like one that was changed.
const LIKE: f64 = 0.75;

/// The name that is most likely this one's new one: the most similar, or the one that shares a word.
fn likeliest<'a>(name: &str, others: &[&'a str]) -> Option<&'a str> {
    let shares = |other: &str| {
        name.split('_').any(|part| part.len() > 3 && other.split('_').any(|o| o == part))
    };
    let likeness = |other: &str| {
        let alike = strsim::jaro_winkler(name, other);
        if shares(other) { alike.max(LIKE + 0.01) } else { alike }
    };
    let best = others.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    best.filter(|other| likeness(other) > LIKE)
}

/// The part of a name after its schema.
fn last(table: &str) -> &str {
    table.rsplit('.').next().unwrap_or(table)
}

#[cfg(test)]
mod tests;
