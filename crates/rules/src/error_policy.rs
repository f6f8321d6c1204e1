//! What an error of PostgreSQL means before anything is proved: try again, wait, or look for who is at fault.
//! [`kafka`] says the same of the Kafka client's errors.

pub mod kafka;
pub mod login;

/// What to do after an error from PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// It will pass by itself: try the same again soon.
    Retry,
    /// The server's own state: keep the place, say why, try again at leisure.
    Hold,
    /// A record or the world may be at fault. The code cannot tell: isolate the record, and let what happens
    /// to others prove it.
    Isolate,
}

/// What an error means. `sqlstate` is PostgreSQL's five characters (PostgreSQL docs, Appendix A), `None` when the
/// connection failed without any. Only what is surely passing or surely the server's is named here: any code at
/// all can be raised by a trigger for one row.
pub fn disposition(sqlstate: Option<&str>) -> Disposition {
    let Some(sqlstate) = sqlstate else { return Disposition::Retry };
    match sqlstate {
        "40001" | "40P01" | "55P03" => Disposition::Retry,
        "25006" => Disposition::Hold,
        _ if sqlstate.starts_with("57P0") => Disposition::Retry,
        _ => match sqlstate.get(..2) {
            Some("08") => Disposition::Retry,
            Some("53" | "28") => Disposition::Hold,
            _ => Disposition::Isolate,
        },
    }
}

/// One sentence an operator can act on, for any SQLSTATE.
pub fn advice(sqlstate: Option<&str>) -> &'static str {
    let Some(sqlstate) = sqlstate else {
        return "Check that PostgreSQL is up and can be reached from here; makegood reconnects by itself.";
    };
    specific(sqlstate).unwrap_or_else(|| by_class(sqlstate))
}

fn specific(sqlstate: &str) -> Option<&'static str> {
    Some(match sqlstate {
        "23502" => {
            "A NOT NULL column got no value: if every record fails, give the column a default or set it in apply.sql."
        }
        "23503" => {
            "A referenced row does not exist: if it is only late, replay the record once it is there."
        }
        "23505" => {
            "A unique key is already taken: have apply.sql insert with ON CONFLICT DO NOTHING and read the existing row."
        }
        "23514" => "A CHECK constraint refused the row: compare the constraint with the event.",
        "25006" => {
            "This server takes no writes: point the URL at the primary, or wait until it is promoted."
        }
        "26000" | "42P05" => {
            "A prepared statement got lost, as behind a pooler in transaction mode: set postgres.pooler = \"transaction\" if there is one."
        }
        "40P01" | "55P03" => {
            "Another transaction holds a lock: look for a long one in pg_stat_activity if this goes on."
        }
        "42501" => {
            "The role may not do this: give it the rights that apply.sql needs, and check row security."
        }
        "42703" | "42P01" | "42704" | "42883" => {
            "Your schema and apply.sql disagree: change one of them to fit, and send makegood SIGHUP if it was apply.sql."
        }
        "53100" => "The disk is full: free or add space on the database server.",
        "53200" => "PostgreSQL is out of memory: lower work_mem or the batch size, or add memory.",
        "53300" => "No connection is left: raise max_connections or close idle clients.",
        "57014" => {
            "A timeout or a person cancelled the statement: raise statement_timeout if batches need longer."
        }
        "57P04" => "The database was dropped: restore it, or correct the URL.",
        _ => return None,
    })
}

fn by_class(sqlstate: &str) -> &'static str {
    match sqlstate.get(..2).unwrap_or_default() {
        "08" | "57" => "PostgreSQL is restarting or out of reach; makegood reconnects by itself.",
        "0A" => "The statement uses what this server cannot do: look at apply.sql.",
        "22" => {
            "A value does not fit its column or type: look at the record in quarantine, fix, then replay it."
        }
        "23" => "A constraint refused the row: compare the constraint with the event.",
        "25" => {
            "The transaction is in a state that allows no writes: check the role's and the database's settings."
        }
        "28" => "The login was refused: check user, password and pg_hba.conf.",
        "3D" | "3F" => "The database or schema does not exist: check the URL and search_path.",
        "40" => "Transactions got in each other's way; makegood tries again by itself.",
        "42" => {
            "The statement does not fit your schema or rights: compare apply.sql with your tables and grants."
        }
        "53" => "The database server lacks a resource: look at its disk, memory and connections.",
        "54" => {
            "A limit of PostgreSQL was exceeded: lower the batch size, or look at the record's size."
        }
        "58" | "XX" => {
            "The database server has trouble with its storage or itself: look at its log."
        }
        "P0" => "A function or trigger raised this error: look at what it checks.",
        _ => {
            "Look at the database server's log for this SQLSTATE; makegood keeps its place and tries again."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_tried_again_soon() {
        for code in ["40001", "40P01", "55P03", "57P01", "57P03", "08006", "08P01"] {
            assert_eq!(disposition(Some(code)), Disposition::Retry, "{code}");
        }
        assert_eq!(disposition(None), Disposition::Retry);
    }

    #[test]
    fn what_is_surely_the_servers_holds() {
        for code in ["53100", "53200", "53300", "25006", "28P01"] {
            assert_eq!(disposition(Some(code)), Disposition::Hold, "{code}");
        }
    }

    #[test]
    fn everything_else_is_for_others_to_prove() {
        for code in [
            "22P02", "23502", "2200H", "42703", "42501", "45000", "P0001", "P0002", "0A000",
            "26000", "57014", "25P02", "XX000", "zzzzz", "", "2", "\u{e9}",
        ] {
            assert_eq!(disposition(Some(code)), Disposition::Isolate, "{code}");
        }
    }

    #[test]
    fn every_error_has_advice_of_one_sentence() {
        for code in ["22003", "23502", "42703", "53100", "57P01", "XX000", "", "\u{e9}"] {
            assert!(advice(Some(code)).ends_with('.'), "{code}");
        }
        assert_ne!(advice(None), advice(Some("53100")));
    }
}
