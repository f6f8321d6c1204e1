//! libpq's side inputs: the `PG*` variables and the password file.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::env::{self, Env};
use super::layers::Layers;

/// What fills in the parts a URL leaves out.
#[derive(Clone, Default)]
pub struct Libpq {
    /// Parameters by their name in a URL, such as `host` or `sslmode`, with their variable.
    pub fallbacks: Vec<(&'static str, String, String)>,
    /// The operating system's user, who is the role when nobody names one.
    pub os_user: Option<String>,
    /// The lines of the password file.
    pub passfile: String,
}

/// Which variable stands for which parameter.
const VARIABLES: [(&str, &str); 12] = [
    ("PGHOST", "host"),
    ("PGPORT", "port"),
    ("PGUSER", "user"),
    ("PGDATABASE", "dbname"),
    ("PGSSLMODE", "sslmode"),
    ("PGSSLROOTCERT", "sslrootcert"),
    ("PGSSLCERT", "sslcert"),
    ("PGSSLKEY", "sslkey"),
    ("PGAPPNAME", "application_name"),
    ("PGCONNECT_TIMEOUT", "connect_timeout"),
    ("PGOPTIONS", "options"),
    ("PGCHANNELBINDING", "channel_binding"),
];

impl Libpq {
    /// Reads the variables and the password file they name (`PGPASSFILE`, else `~/.pgpass`).
    pub fn read(env: &Env, cwd: &Path, layers: &mut Layers) -> Libpq {
        let mut fallbacks: Vec<(&str, String, String)> = VARIABLES
            .into_iter()
            .filter_map(|(name, key)| Some((key, env::get(env, name)?.to_owned(), name.to_owned())))
            .collect();
        if let Some((password, origin)) = env::secret(env, "PGPASSWORD", cwd, layers) {
            fallbacks.push(("password", password, origin.to_string()));
        }
        for name in ["PGSERVICE", "PGHOSTADDR"] {
            if env::get(env, name).is_some() {
                layers.notes.push(format!("{name} is set, but makegood does not read it"));
            }
        }
        let os_user = env::get(env, "USER").or_else(|| env::get(env, "LOGNAME"));
        let passfile = passfile(env, cwd, layers);
        Libpq { fallbacks, os_user: os_user.map(str::to_owned), passfile }
    }

    /// Only what concerns every database: not the host, the role or the password of the main one.
    pub fn for_others(&self) -> Libpq {
        let shared = ["sslmode", "sslrootcert", "application_name", "connect_timeout"];
        let mut other = self.clone();
        other.fallbacks.retain(|(key, _, _)| shared.contains(key));
        other
    }

    /// The password the file has for a connection; `None` without a matching line.
    pub fn password(&self, host: &str, port: u16, dbname: &str, user: &str) -> Option<String> {
        let port = port.to_string();
        let wanted = [host, &port, dbname, user];
        self.passfile.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
            let fields = fields(line);
            let (password, place) = fields.split_last().filter(|_| fields.len() == 5)?;
            let matches = place.iter().zip(wanted).all(|(have, want)| have == "*" || have == want);
            matches.then(|| password.clone())
        })
    }
}

/// The file's text, empty when there is none to use.
fn passfile(env: &Env, cwd: &Path, layers: &mut Layers) -> String {
    let named = env::get(env, "PGPASSFILE").map(|path| cwd.join(path));
    let home = env::get(env, "HOME").map(|home| PathBuf::from(home).join(".pgpass"));
    let Some(path) = named.clone().or(home) else { return String::new() };
    let Ok(metadata) = std::fs::metadata(&path) else {
        if named.is_some() {
            layers.notes.push(format!("PGPASSFILE names {}, which does not exist", path.display()));
        }
        return String::new();
    };
    if metadata.permissions().mode() & 0o077 != 0 {
        let path = path.display();
        let what = format!("others may read {path}, which holds passwords");
        match named {
            Some(_) => layers.mistake("env PGPASSFILE", what, "chmod 600 it"),
            None => layers.notes.push(format!("{what}: it is ignored until you chmod 600 it")),
        }
        return String::new();
    }
    std::fs::read_to_string(&path).unwrap_or_default()
}

/// The fields of a line, `\:` and `\\` unescaped.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        let end = fields.len() - 1;
        match letter {
            ':' if fields.len() < 5 => fields.push(String::new()),
            '\\' => fields[end].extend(letters.next()),
            other => fields[end].push(other),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_matching_line_of_the_password_file_counts() {
        let passfile = "# a\nh:5432:shop:u:one\n*:*:*:u:t\\:w\\\\o:3\n*:*:*:*:last".to_owned();
        let libpq = Libpq { passfile, ..Libpq::default() };
        let password = |host, user| libpq.password(host, 5432, "shop", user);
        assert_eq!(password("h", "u").as_deref(), Some("one"));
        assert_eq!(password("other", "u").as_deref(), Some("t:w\\o:3"));
        assert_eq!(password("h", "x").as_deref(), Some("last"));
    }
}
