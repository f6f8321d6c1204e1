//! Which schemas are searched. makegood's own statements find PostgreSQL's functions and operators and no others:
//! somebody else's, in a schema that others may create in, could fit an argument better, and would be run with
//! makegood's rights. The mapping names the host's tables and is run under the host's path, as are the host's triggers.

/// For what is the host's, within a transaction: the path that the role, the database or the connection string sets,
/// after PostgreSQL's own, and without a schema that is named like the role, which whoever may create schemas could make.
pub(super) const HOST: &str = "SET LOCAL search_path TO DEFAULT; \
    SELECT pg_catalog.set_config('search_path', pg_catalog.concat_ws(', ', 'pg_catalog', \
        pg_catalog.regexp_replace(pg_catalog.current_setting('search_path'), '\"?[$]user\"?|^ *$', 'pg_catalog', 'g'), \
        'pg_temp'), true)";
/// Back again.
pub(super) const OWN: &str = "SET LOCAL search_path = pg_catalog, pg_temp";

/// A statement that sets the path to what [`HOST`] answered, whatever the host has in it.
pub(super) fn set(path: &str) -> String {
    let path = path.replace('\\', r"\\").replace('\'', "''");
    format!("SELECT pg_catalog.set_config('search_path', E'{path}', true)")
}
