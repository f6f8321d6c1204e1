//! What a failed batch means: try again, wait, look for the culprit, or set it aside. [`kafka`] says
//! the same of the Kafka client's errors.

pub mod kafka;

/// How many other records are tried, each in a transaction of its own, to tell a broken record from a
/// broken world.
const WITNESSES: usize = 8;

/// What to do after an error from PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It will pass by itself: try the same again soon.
    Retry,
    /// The world is broken, not the record: keep the place, say why, try again at leisure.
    Hold,
    /// Some record may be to blame: find it by halving.
    Bisect,
    /// This record is to blame: set it aside and go on.
    Quarantine,
}

/// What failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// How many records the failed transaction had.
    pub records: usize,
    /// Another record was applied since this failure was first seen, so the world works.
    pub witnessed: bool,
}

/// What an error means for a batch. `sqlstate` is PostgreSQL's five characters (PostgreSQL docs,
/// Appendix A), `None` when the connection failed without any. Total: what is not known holds.
///
/// Class 23 needs a witness, because a broken world looks the same: after a new `NOT NULL` column
/// every record fails with 23502.
pub fn verdict(sqlstate: Option<&str>, scope: Scope) -> Verdict {
    match (blame(sqlstate), scope.records) {
        (Blame::Passing, _) | (Blame::Time, 0 | 1) => Verdict::Retry,
        (Blame::World, _) | (_, 0) => Verdict::Hold,
        (_, 2..) => Verdict::Bisect,
        (Blame::Record, 1) => Verdict::Quarantine,
        (Blame::RecordOrWorld, 1) if scope.witnessed => Verdict::Quarantine,
        (Blame::RecordOrWorld | Blame::Batch, 1) => Verdict::Hold,
    }
}

/// Whether another record's success would change what is done about a record that failed alone. Only
/// then is it worth to look for one.
pub fn wants_witness(sqlstate: Option<&str>) -> bool {
    let alone = |witnessed| verdict(sqlstate, Scope { records: 1, witnessed });
    alone(true) != alone(false)
}

/// Which of the other records to try as a witness: a few, spread over all of them, others with each `chance`.
pub fn witnesses<T>(others: &[T], chance: usize) -> impl Iterator<Item = &T> {
    let stride = others.len().div_ceil(WITNESSES).max(1);
    others.iter().skip(chance % stride).step_by(stride)
}

/// What an error may be put down to.
enum Blame {
    /// A state that ends by itself.
    Passing,
    /// Something a person has to mend; the default.
    World,
    /// The data of a record.
    Record,
    /// Either: only another record's success tells.
    RecordOrWorld,
    /// Too much at once: less may go through.
    Batch,
    /// It took too long: less may be in time, and the same may be at another moment.
    Time,
}

fn blame(sqlstate: Option<&str>) -> Blame {
    let Some(sqlstate) = sqlstate else { return Blame::Passing };
    match sqlstate {
        // The first two are a plan that DDL made useless, gone by the next attempt.
        "0A000" | "26000" | "40001" | "40P01" | "55P03" => Blame::Passing,
        "57014" => Blame::Time,
        "53200" => Blame::Batch,
        // A narrowed column refuses every row with the first two; a trigger, a view's check option and a
        // mapping's subquery may refuse one row or all.
        "22001" | "22003" | "54000" | "54001" | "P0001" | "44000" | "21000" => Blame::RecordOrWorld,
        _ if sqlstate.starts_with("57P0") => Blame::Passing,
        _ => match sqlstate.get(..2) {
            Some("08") => Blame::Passing,
            Some("22") => Blame::Record,
            Some("23") => Blame::RecordOrWorld,
            Some("54") => Blame::Batch,
            _ => Blame::World,
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
            "The role may not do this: GRANT it what apply.sql needs, and check row security."
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

    const ALONE: Scope = Scope { records: 1, witnessed: false };
    const WITNESSED: Scope = Scope { records: 1, witnessed: true };
    const MANY: Scope = Scope { records: 2, witnessed: false };

    fn verdicts(sqlstate: &str) -> [Verdict; 3] {
        [MANY, ALONE, WITNESSED].map(|scope| verdict(Some(sqlstate), scope))
    }

    #[test]
    fn a_value_that_fits_nowhere_is_the_records_own_fault() {
        for code in ["22P02", "22007", "22021", "22000"] {
            let expected = [Verdict::Bisect, Verdict::Quarantine, Verdict::Quarantine];
            assert_eq!(verdicts(code), expected, "{code}");
        }
    }

    #[test]
    fn a_refused_row_is_the_records_fault_only_when_others_get_through() {
        for code in [
            "21000", "22001", "22003", "23502", "23503", "23505", "23514", "44000", "54000",
            "54001", "P0001",
        ] {
            let expected = [Verdict::Bisect, Verdict::Hold, Verdict::Quarantine];
            assert_eq!(verdicts(code), expected, "{code}");
        }
    }

    #[test]
    fn a_witness_is_asked_for_only_where_its_word_counts() {
        for (code, wanted) in [("23514", true), ("22003", true), ("22P02", false), ("57014", false)]
        {
            assert_eq!(wants_witness(Some(code)), wanted, "{code}");
        }
        assert!(!wants_witness(None));
    }

    #[test]
    fn witnesses_are_few_and_from_everywhere() {
        assert_eq!(witnesses::<u8>(&[], 7).count(), 0);
        assert_eq!(witnesses(&[1, 2, 3], 7).count(), 3);
        let many: Vec<usize> = (0..1000).collect();
        let tried = |chance| witnesses(&many, chance).copied().collect::<Vec<_>>();
        assert_eq!(tried(0), [0, 125, 250, 375, 500, 625, 750, 875]);
        assert_eq!(tried(126), [1, 126, 251, 376, 501, 626, 751, 876]);
    }

    #[test]
    fn what_was_too_much_for_one_statement_is_tried_in_parts_and_then_held() {
        for code in ["54023", "53200"] {
            assert_eq!(verdicts(code), [Verdict::Bisect, Verdict::Hold, Verdict::Hold], "{code}");
        }
    }

    #[test]
    fn what_took_too_long_is_tried_in_parts_and_then_again() {
        assert_eq!(verdicts("57014"), [Verdict::Bisect, Verdict::Retry, Verdict::Retry]);
        let statement = Scope { records: 0, witnessed: false };
        assert_eq!(verdict(Some("57014"), statement), Verdict::Retry);
    }

    #[test]
    fn what_passes_by_itself_is_tried_again_soon() {
        for code in
            ["0A000", "26000", "40001", "40P01", "55P03", "57P01", "57P03", "08006", "08P01"]
        {
            assert_eq!(verdicts(code), [Verdict::Retry; 3], "{code}");
        }
        assert_eq!(verdict(None, ALONE), Verdict::Retry);
    }

    #[test]
    fn a_broken_world_and_anything_unknown_quarantines_nothing() {
        for code in [
            "42703", "42501", "53100", "58030", "25006", "0A001", "25P02", "P0002", "", "2", "é",
            "zzzzz",
        ] {
            assert_eq!(verdicts(code), [Verdict::Hold; 3], "{code}");
        }
        assert_eq!(verdict(Some("22003"), Scope { records: 0, witnessed: true }), Verdict::Hold);
    }

    #[test]
    fn every_error_has_advice_of_one_sentence() {
        for code in ["22003", "23502", "42703", "53100", "57P01", "XX000", "", "é"] {
            assert!(advice(Some(code)).ends_with('.'), "{code}");
        }
        assert_ne!(advice(None), advice(Some("53100")));
    }
}
