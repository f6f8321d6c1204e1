//! `makegood mapping new`: a first mapping from the tables as they are.

use std::fs;
use std::path::{Path, PathBuf};

use askama::Template;

use super::super::{Globals, print, session};
use crate::store::mapping::FILES;
use crate::store::{Store, table_shape};
use rules::draft::{Draft, DraftTable, EventPointers, MARK, key_of, status_of};
use rules::problem::{Code, Problem};
use rules::sql::quoted;

/// Without TABLE it writes the shipped mapping, for the tables of the demo.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The columns come from the catalogue, the words of the status from the payments
themselves. What nobody can tell from there is marked FILL_IN and listed; until
that is filled in, `makegood mapping check` says so. Nothing is changed in the
database.

Examples:
  makegood mapping new purchases
  makegood mapping new shop.orders --payments shop.payment --event event.json
  makegood mapping new --into /etc/makegood/purchases")]
pub struct Args {
    /// The table that gets a row for each payment; without it the shipped mapping is written
    table: Option<String>,
    /// The folder; it must not have any of the files yet
    #[arg(long, value_name = "DIR", default_value = "purchases")]
    into: PathBuf,
    /// The table with the payments; without it the foreign key of TABLE says which
    #[arg(long, value_name = "TABLE")]
    payments: Option<String>,
    /// The column of TABLE that names the payment; it needs a unique index
    #[arg(long, value_name = "COLUMN")]
    key: Option<String>,
    /// An event of the topic, as JSON: where each value stands is read from it
    #[arg(long, value_name = "FILE")]
    event: Option<PathBuf>,
}

macro_rules! files {
    ($($name:ident $path:literal)+) => {
        $(
            #[derive(Template)]
            #[template(path = $path, escape = "none")]
            struct $name<'a> {
                d: &'a Draft,
            }
        )+

        /// The files of a drafted mapping.
        fn files(d: &Draft) -> Result<Vec<(&'static str, String)>, Problem> {
            let failed = |e: askama::Error| Problem::new(Code::System, format!("cannot draft: {e}"));
            Ok(vec![$(($path, $name { d }.render().map_err(failed)? + "\n")),+])
        }
    };
}

files! {
    Apply "apply.sql"
    Missing "missing.sql"
    Payments "payments.sql"
    Purchases "purchases.sql"
    Conflicts "conflicts.sql"
    Lookup "lookup.sql"
    Strangers "strangers.sql"
}

pub async fn run(globals: &Globals, args: &Args) -> Result<(), Problem> {
    let Some(table) = &args.table else {
        let files = FILES.map(|(name, text)| (name, text.to_owned()));
        write(&args.into, &files)?;
        say_next(&args.into);
        return Ok(());
    };
    let places = args.event.as_deref().map(places_in).transpose()?.unwrap_or_default();
    let config = session::load(globals)?;
    let store = session::unchecked(&config.postgres).await?;
    let named = (args.payments.as_deref(), args.key.as_deref());
    let draft = of_tables(&store, table, named, &places).await?;
    write_draft(&args.into, &draft)?;
    say_next(&args.into);
    Ok(())
}

/// Where values stand in the event of a file.
fn places_in(file: &Path) -> Result<EventPointers, Problem> {
    let text = fs::read_to_string(file)
        .map_err(|e| Problem::new(Code::Usage, format!("cannot read {}: {e}", file.display())))?;
    let event = serde_json::from_str(&text).map_err(|e| {
        Problem::new(Code::Usage, format!("{} is no JSON: {e}", file.display()))
            .advice("write one event of the topic into it, as it is")
    })?;
    Ok(EventPointers::of_event(&event))
}

/// Drafts a mapping for these tables.
pub async fn of_tables(
    store: &Store,
    table: &str,
    (payments, key): (Option<&str>, Option<&str>),
    places: &EventPointers,
) -> Result<Draft, Problem> {
    let purchases = shape(store, table).await?;
    let found = key_of(&purchases);
    let column = key.map(str::to_owned).or_else(|| found.map(|(column, _)| column.name.clone()));
    let column = column.ok_or_else(|| {
        Problem::new(Code::BusinessKey, format!("{table} has no column with a unique index that names a payment"))
            .advice(format!("name the column with --key, and give it one: CREATE UNIQUE INDEX CONCURRENTLY ON {table} (COLUMN);"))
    })?;
    let points_to =
        purchases.columns.iter().find(|c| c.name == column).and_then(|c| c.points_to.clone());
    let payments =
        payments.map(str::to_owned).or_else(|| points_to.as_ref().map(|(table, _)| table.clone()));
    let payments = payments.ok_or_else(|| {
        Problem::new(
            Code::Usage,
            format!("no foreign key of {table}.{column} says where the payments are"),
        )
        .advice("name the table with --payments")
    })?;
    let payments = shape(store, &payments).await?;
    let primary = payments.columns.iter().find(|column| column.is_primary).map(|c| c.name.clone());
    let id = points_to
        .filter(|(table, _)| *table == payments.name)
        .map(|(_, column)| column)
        .or(primary);
    let id = id.ok_or_else(|| {
        Problem::new(Code::Mapping, format!("{} has no primary key of one column", payments.name))
            .advice(
                "write the mapping by hand: makegood mapping new --into DIR has the shipped one",
            )
    })?;
    let words = match status_of(&payments) {
        Some(status) => table_shape::words(store, &payments.name, &status.name).await,
        None => Ok(Vec::new()),
    };
    let words = words.map_err(|fault| fault.problem("cannot read the payments' status"))?;
    Draft::of(&purchases, &payments, (&column, &id), &words, places).map_err(|why| {
        Problem::new(Code::Mapping, format!("cannot draft a mapping: {why}")).advice(
            "write it by hand: makegood mapping new --into DIR has the shipped one, to be changed",
        )
    })
}

async fn shape(store: &Store, table: &str) -> Result<DraftTable, Problem> {
    let columns = table_shape::columns(store, table).await;
    let columns = columns.map_err(|fault| fault.problem("cannot read the catalogue"))?;
    if columns.is_empty() {
        let cause = format!("there is no table {table} here");
        let hint = format!("name it as in SQL, with its schema: {}.{table}", quoted("shop"));
        return Err(Problem::new(Code::NotFound, cause).advice(hint));
    }
    Ok(DraftTable { name: table.to_owned(), columns })
}

/// Writes a draft into a folder, and says what is left for a person.
pub fn write_draft(folder: &Path, draft: &Draft) -> Result<(), Problem> {
    let mut files = files(draft)?;
    // Without a time of the purchases there is no order to read them in.
    let by_time = ["conflicts.sql", "purchases.sql"];
    files.retain(|(name, _)| !by_time.contains(name) || draft.purchased_at.is_some());
    write(folder, &files)?;
    for line in draft.open() {
        say!("{MARK}: {}/{line}", folder.display());
    }
    if !draft.event_was_seen {
        say!(
            "look at the field lines of apply.sql: no event was at hand to read them from (--event FILE)"
        );
    }
    Ok(())
}

fn write(folder: &Path, files: &[(&str, String)]) -> Result<(), Problem> {
    let failed = |what: &Path, e: std::io::Error| {
        Problem::new(Code::System, format!("cannot write {}: {e}", what.display()))
    };
    if let Some((name, _)) = files.iter().find(|(name, _)| folder.join(name).exists()) {
        let cause =
            format!("{} is there already; nothing was written", folder.join(name).display());
        return Err(Problem::new(Code::Usage, cause).advice("name a new folder with --into"));
    }
    fs::create_dir_all(folder).map_err(|e| failed(folder, e))?;
    for (name, text) in files {
        let file = folder.join(name);
        fs::write(&file, text).map_err(|e| failed(&file, e))?;
        print::data(&format!("{}\n", file.display()))?;
    }
    Ok(())
}

/// Says what is to be done with what was written.
fn say_next(folder: &Path) {
    say!(
        "set mapping = \"{}\" in the route's [[inbox]] section, then: makegood mapping check",
        folder.display()
    );
}
