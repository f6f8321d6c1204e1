//! What went wrong with a statement, in a form that may be logged and shown.

use deadpool_postgres::{HookError, PoolError, TimeoutType};
use tokio_postgres::error::{DbError, ErrorPosition, SqlState};

use rules::problem::{Code, Problem};
use telemetry::meter;

/// A failed statement or connection. Holds no row data: PostgreSQL's DETAIL is dropped, and so are the
/// values that data errors quote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The server refused a statement.
    #[error("{message} (SQLSTATE {sqlstate})")]
    Refused {
        /// The five-character SQLSTATE.
        sqlstate: String,
        /// The server's message without values.
        message: String,
        /// What it is about, as far as the server says.
        about: FaultSubject,
    },
    /// There is no connection, or it broke.
    #[error("PostgreSQL is out of reach: {cause}")]
    Lost {
        /// Why, in the client's words.
        cause: String,
    },
}

/// What an error is about: names of the schema, never values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultSubject {
    /// The character of the statement, counted from 1.
    pub position: Option<u32>,
    /// The table whose constraint was violated.
    pub table: Option<String>,
    /// The column that may not be null.
    pub column: Option<String>,
}

impl Fault {
    /// Nobody answered in time.
    pub(super) fn unanswered(cause: String) -> Fault {
        meter::database_error(None);
        Fault::Lost { cause }
    }

    /// Of a statement that is only prepared: what is quoted stands in its text and is no row's.
    pub(super) fn of_text(error: tokio_postgres::Error) -> Fault {
        let message = error.as_db_error().map(|db| db.message().to_owned());
        match (Fault::from(error), message) {
            (Fault::Refused { sqlstate, about, .. }, Some(message)) => {
                Fault::Refused { sqlstate, message, about }
            }
            (fault, _) => fault,
        }
    }

    /// Whether a prepared statement is of no use any more, because DDL changed what it returns or the
    /// server forgot it. A new one is as good as ever.
    pub fn is_stale_plan(&self) -> bool {
        matches!(self.sqlstate(), Some("0A000" | "26000"))
    }

    /// Whether the connection is of no use any more: nobody answers on it, or its server takes no writes,
    /// as after a failover. The next one goes to the host that does.
    pub fn is_of_the_connection(&self) -> bool {
        matches!(self.sqlstate(), None | Some("25006"))
    }

    /// The SQLSTATE, if a server answered.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Fault::Refused { sqlstate, .. } => Some(sqlstate),
            Fault::Lost { .. } => None,
        }
    }

    /// What happened, and what to do about it in general.
    pub fn diagnosis(&self) -> Problem {
        // A server that is going down or coming up answers, but it is not there.
        let is_gone = |state: &str| ["08", "57P0"].iter().any(|class| state.starts_with(class));
        let is_gone = self.sqlstate().is_none_or(is_gone);
        let code = if is_gone { Code::PostgresUnreachable } else { Code::Postgres };
        Problem::new(code, self.to_string()).advice(rules::error_policy::advice(self.sqlstate()))
    }

    /// The same for people; `doing` says what was attempted.
    pub fn problem(&self, doing: &str) -> Problem {
        let why = self.diagnosis();
        let advice = match self {
            Fault::Refused { .. } => why.advice,
            Fault::Lost { .. } => {
                "is PostgreSQL running, and is postgres.url (DATABASE_URL) right?".to_owned()
            }
        };
        Problem { reason: format!("{doing}: {}", why.reason), advice, ..why }
    }
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Fault {
        Fault::from(&error)
    }
}

impl From<&tokio_postgres::Error> for Fault {
    fn from(error: &tokio_postgres::Error) -> Fault {
        meter::database_error(error.code().map(SqlState::code));
        match error.as_db_error() {
            Some(db) => Fault::Refused {
                sqlstate: db.code().code().to_owned(),
                message: message(db),
                about: FaultSubject::of(db),
            },
            None => Fault::Lost { cause: chain(error) },
        }
    }
}

impl From<PoolError> for Fault {
    fn from(error: PoolError) -> Fault {
        match error {
            PoolError::Backend(e) => e.into(),
            PoolError::Timeout(TimeoutType::Wait) => {
                Fault::Lost { cause: "no connection became free in time".to_owned() }
            }
            PoolError::Timeout(_) => Fault::unanswered("it does not answer in time".to_owned()),
            PoolError::PostCreateHook(HookError::Backend(e)) => e.into(),
            PoolError::PostCreateHook(HookError::Message(why)) => Fault::unanswered(why.into()),
            other => Fault::Lost { cause: other.to_string() },
        }
    }
}

impl FaultSubject {
    fn of(db: &DbError) -> FaultSubject {
        let position = match db.position() {
            Some(ErrorPosition::Original(at)) => Some(*at),
            // Of a statement inside a function, whose text is not ours.
            Some(ErrorPosition::Internal { .. }) | None => None,
        };
        let (table, column) = (db.table().map(str::to_owned), db.column().map(str::to_owned));
        FaultSubject { position, table, column }
    }
}

/// The message; data errors (class 22) quote the value after a colon, which is left out.
fn message(db: &DbError) -> String {
    let text = db.message();
    match text.split_once(": \"") {
        Some((before, _)) if db.code().code().starts_with("22") => before.to_owned(),
        _ => text.to_owned(),
    }
}

/// An error with its causes; tokio-postgres keeps the useful half in the source.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
