//! The texts that are made from the declarations: the shipped file and the reference.

use super::TABLES;
use super::assemble::ConfigTable;
use super::declare::Key;

const HEAD: &str = "\
# makegood's configuration. Every key is here with its default, commented out; `makegood config show`
# prints what is in force and where it comes from.
#
# A flag wins over the environment, the environment over this file, this file over the default.
# The file is --config, MAKEGOOD_CONFIG, ./makegood.toml or /etc/makegood/makegood.toml.
# A key's variable is MAKEGOOD_ and its path: MAKEGOOD_HTTP_LISTEN, MAKEGOOD_INBOX_TOPIC (while there
# is one route). Secrets can stay in files: DATABASE_URL_FILE, PGPASSWORD_FILE,
# MAKEGOOD_KAFKA__SASL_PASSWORD_FILE. A file with a secret in it, this one too, that everybody may read is refused.
# Durations are written 250ms, 30s, 5m, 12h, 7d; sizes 100B, 512KiB, 1MiB.
";

const OTHERS: &str = " Further databases by name, with the keys of [postgres].";

/// The commented file with every key and its default.
pub fn shipped() -> String {
    HEAD.to_owned() + &TABLES.iter().map(table).collect::<String>()
}

fn table(table: &ConfigTable) -> String {
    let (head, is_commented) = match table.path {
        "databases.*" => ("[databases.payments]".to_owned(), true),
        path => match path.strip_suffix("[]") {
            Some(list) => (format!("[[{list}]]"), true),
            None => (format!("[{path}]"), false),
        },
    };
    let others = table.path.starts_with("databases");
    let about = if others { vec![OTHERS] } else { table.about.clone() };
    let head = if is_commented { format!("# {head}\n") } else { format!("{head}\n") };
    let keys: String = table.keys.iter().map(|key| shipped_key(table.path, key, others)).collect();
    format!("\n{}{head}{keys}", comment(&about))
}

fn shipped_key(table: &str, key: &Key, others: bool) -> String {
    let about = if others { String::new() } else { comment(&key.comment) };
    let name = key.path.strip_prefix(table).unwrap_or(&key.path).trim_start_matches('.');
    let value = key.example.unwrap_or(key.default);
    match key.path.strip_suffix(".*") {
        Some(own) => {
            let lines: String = value.lines().map(|line| format!("# {line}\n")).collect();
            format!("\n{about}[{own}]\n{lines}")
        }
        None => format!("{about}# {name} = {value}\n"),
    }
}

fn comment(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("#{line}\n")).collect()
}

const ABOUT: &str = "\
# Configuration

Every key, as `makegood config init` writes them. A flag wins over the environment, the environment over the file, the file over the
default; `makegood config show` prints what is in force and where it comes from. The file is `--config`, `MAKEGOOD_CONFIG`,
`./makegood.toml` or `/etc/makegood/makegood.toml`. The variable of a key in a list is for the only table of that list. A secret may stand
in a file that its variable with `_FILE` at the end names.
";

/// The page of the reference.
pub fn reference() -> String {
    ABOUT.to_owned() + &TABLES.iter().map(section).collect::<String>()
}

fn section(table: &ConfigTable) -> String {
    let others = table.path.starts_with("databases");
    let about = if others { OTHERS.to_owned() } else { table.about.concat() };
    let (list, name) = (table.path.ends_with("[]"), table.path.trim_end_matches("[]"));
    let name = name.replace('*', "NAME");
    let head = if list { format!("[[{name}]]") } else { format!("[{name}]") };
    let keys: String = table.keys.iter().map(|key| entry(table.path, key)).collect();
    format!("\n## `{head}`\n\n{}\n\n{keys}", about.trim())
}

fn entry(table: &str, key: &Key) -> String {
    let name = key.path.strip_prefix(table).unwrap_or(&key.path).trim_start_matches('.');
    let default = match key.default {
        "" | "\"\"" | "[]" => "unset".to_owned(),
        default => format!("`{default}`"),
    };
    let secret = if key.is_secret { ", or a file with `_FILE`" } else { "" };
    let variable = key.variable().replace('*', "NAME");
    format!(
        "- **`{name}`**: {}; {default}; `{variable}`{secret}. {}\n",
        key.takes,
        key.comment.concat().trim()
    )
}
