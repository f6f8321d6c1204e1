//! The files that `makegood init` writes: the configuration, and the SQL for the owner.

use std::fs;
use std::path::Path;

use crate::config::{Postgres, shipped};
use crate::store::migrate;
use rules::draft::{Draft, MARK};
use rules::problem::{Code, Problem};
use rules::sql::quoted;

/// The folder of the mapping.
pub const MAPPING: &str = "purchases";
const ROLES: &str = include_str!("../../../deploy/roles.sql");
/// The daemon's role, as roles.sql makes it.
const ROLE: &str = "makegood_app";

/// What the files are made from.
pub struct Setup<'a> {
    /// The database, as it was reached.
    pub postgres: &'a Postgres,
    /// The brokers.
    pub bootstrap: &'a str,
    /// The topic.
    pub topic: &'a str,
    /// The group.
    pub group: &'a str,
    /// The type of event; none takes every record.
    pub event_type: Option<&'a str>,
    /// The mapping.
    pub draft: &'a Draft,
}

/// Writes both files, and says what is left to do.
pub fn write(folder: &Path, plan: &Setup<'_>) -> Result<(), Problem> {
    for (name, text) in [("owner.sql", owner(plan)), ("makegood.toml", configuration(plan)?)] {
        let file = folder.join(name);
        fs::write(&file, text).map_err(|e| {
            Problem::new(Code::System, format!("cannot write {}: {e}", file.display()))
        })?;
        super::super::print::data(&format!("{}\n", file.display()))?;
    }
    let at = |name: &str| folder.join(name).display().to_string();
    let filled = match plan.draft.open().is_empty() {
        true => format!("look through {}", at(MAPPING)),
        false => format!("fill in what is marked {MARK} in {}", at(MAPPING)),
    };
    say!(
        "\nwhat is left to do:\n  1. {filled}\n  2. read {sql}, and have the owner of the database run it:\n     \
         psql -v ON_ERROR_STOP=1 -d {database} -f {sql}\n  3. give the daemon's role a password: psql -d {database} -c '\\password {ROLE}'\n     \
         and the daemon that password: in ~/.pgpass, PGPASSWORD_FILE, or the URL in {toml}\n  4. makegood init --into {folder}   \
         (it checks everything; then: makegood run --config {toml})",
        sql = at("owner.sql"),
        toml = at("makegood.toml"),
        database = plan.postgres.dbname,
        folder = folder.display(),
    );
    Ok(())
}

/// The shipped file, with the lines uncommented that say something here.
fn configuration(plan: &Setup<'_>) -> Result<String, Problem> {
    let text = |value: &str| toml_text(value);
    let mut route = vec![
        ("name", text(MAPPING)),
        ("topic", text(plan.topic)),
        ("group", text(plan.group)),
        ("mapping", text(MAPPING)),
    ];
    route.extend(plan.event_type.map(|kind| ("event_type", text(kind))));
    let said = [
        ("[postgres]", vec![("url", text(&url(plan.postgres)))]),
        ("[kafka]", vec![("bootstrap_servers", text(plan.bootstrap))]),
        ("# [[inbox]]", route),
        ("[migrate]", vec![("mode", text("check"))]),
    ];
    let mut lines: Vec<String> = shipped().lines().map(str::to_owned).collect();
    for (table, keys) in said {
        let lost =
            |what: &str| Problem::new(Code::System, format!("the shipped file has no {what}"));
        let at = lines.iter().position(|line| line == table).ok_or_else(|| lost(table))?;
        lines[at] = table.trim_start_matches("# ").to_owned();
        for (key, value) in keys {
            let wanted = format!("# {key} = ");
            let found = lines.iter().skip(at).position(|line| line.starts_with(&wanted));
            let found = found.ok_or_else(|| lost(key))?;
            lines[at + found] = format!("{key} = {value}");
        }
    }
    Ok(lines.join("\n") + "\n")
}

/// The same database as the daemon's role, without anybody's password.
fn url(postgres: &Postgres) -> String {
    let port = postgres.ports.first().copied().unwrap_or(5432);
    let database = &postgres.dbname;
    match postgres.hosts.first().map(String::as_str) {
        None => format!("postgres:///{database}?user={ROLE}&port={port}"),
        Some(socket) if socket.starts_with('/') => {
            format!("postgres:///{database}?user={ROLE}&host={socket}&port={port}")
        }
        Some(host) if host.contains(':') => format!("postgres://{ROLE}@[{host}]:{port}/{database}"),
        Some(host) => format!("postgres://{ROLE}@{host}:{port}/{database}"),
    }
}

fn toml_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Roles, schema, indexes and rights, in the order in which they need each other.
fn owner(plan: &Setup<'_>) -> String {
    let draft = plan.draft;
    let schema = migrate::sql(migrate::BOTH);
    let columns: Vec<&str> = [draft.key.payment.as_str(), &draft.status, &draft.paid_at]
        .into_iter()
        .chain(draft.terms.iter().map(|term| term.payment.as_str()))
        .collect();
    let mut text = format!(
        "-- What makegood needs in the database {}, for its owner to read and to run once:\n\
         --   psql -v ON_ERROR_STOP=1 -d {} -f owner.sql\n\
         -- 1. roles, each with what it needs and no more; 2. the schema makegood, as makegood_owner; 3. the roles' rights in it;\n\
         -- 4. the daemon's rights on {} and {}; 5. the indexes that reconciliation reads by.\n\n\
         -- Only what is wrong is told.\n\
         SET client_min_messages = warning;\n\n{ROLES}\n\
         SET ROLE makegood_owner;\n{schema}\nRESET ROLE;\n\n{ROLES}\n",
        plan.postgres.dbname, plan.postgres.dbname, draft.payments, draft.purchases
    );
    for table in [&draft.payments, &draft.purchases] {
        if let Some((schema, _)) = table.rsplit_once('.') {
            text += &format!("GRANT USAGE ON SCHEMA {schema} TO {ROLE};\n");
        }
    }
    text += &format!("GRANT SELECT ({}) ON {} TO {ROLE};\n", columns.join(", "), draft.payments);
    text += &format!("GRANT SELECT, INSERT ON {} TO {ROLE};\n", draft.purchases);
    text += &index(&draft.payments, &[&draft.paid_at, &draft.key.payment, &draft.status]);
    if let Some(at) = &draft.purchased_at {
        text += &index(&draft.purchases, &[at, &draft.key.purchase]);
    }
    text
}

/// An index under a name of its own, so that it is made once.
fn index(table: &str, columns: &[&str]) -> String {
    let plain = |text: &str| -> String {
        text.chars()
            .map(|c| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
            .collect()
    };
    let own = table.rsplit('.').next().unwrap_or(table);
    let name: String =
        format!("makegood_{}", plain(own.trim_matches('"'))).chars().take(60).collect();
    format!(
        "-- It takes a while on a large table, and nobody waits for it.\nCREATE INDEX CONCURRENTLY IF NOT EXISTS {} ON {table} ({});\n",
        quoted(&name),
        columns.join(", ")
    )
}
