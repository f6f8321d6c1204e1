//! Somebody's lock that others wait for.

use super::Check;

/// Who holds it, and how it is ended. A prepared transaction has no process.
pub fn check(pid: i32, who: &str) -> Check {
    let name = "postgres.locks";
    if pid == 0 {
        return Check::fail(
            name,
            format!("a prepared transaction ({who}) holds a lock that is waited for"),
            "whoever prepared it ends it, or: `SELECT format('ROLLBACK PREPARED %L;', gid) FROM pg_prepared_xacts \
             WHERE database = current_database() ORDER BY prepared LIMIT 1;`",
        );
    }
    Check::fail(
        name,
        format!("the session with pid {pid} ({who}) holds a lock that is waited for"),
        format!("let it finish, or end it: `SELECT pg_terminate_backend({pid});`"),
    )
}
