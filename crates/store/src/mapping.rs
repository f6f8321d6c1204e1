//! The mapping: the operator's SQL, read as it is, checked before use, sent untouched.

pub mod drift;
mod key;
mod looks;
mod payments;
mod rights;

use std::fs;
use std::path::Path;

use tokio_postgres::types::Type;
use uuid::Uuid;

pub use looks::{Index, Looks, ReadStatement};
pub use payments::{BELIEVED, Payments};

use super::by_keys::LastFound;
use super::{Fault, Shape, Store};
use rules::business_key::{BusinessKey, DIRECTIVE};
use rules::diagnosis::Diagnosis;
use rules::envelope;
use rules::fields::{self, Body, Field, FieldKind};
use rules::problem::{Code, Problem};

const BUILT_IN: &str = include_str!("../../../sql/purchases/apply.sql");
/// The files of the compiled-in mapping, to be written out and changed.
pub const FILES: [(&str, &str); 8] = [
    ("README.md", include_str!("../../../sql/purchases/README.md")),
    ("apply.sql", BUILT_IN),
    ("missing.sql", include_str!("../../../sql/purchases/missing.sql")),
    ("conflicts.sql", include_str!("../../../sql/purchases/conflicts.sql")),
    ("lookup.sql", include_str!("../../../sql/purchases/lookup.sql")),
    ("payments.sql", include_str!("../../../sql/purchases/payments.sql")),
    ("purchases.sql", include_str!("../../../sql/purchases/purchases.sql")),
    ("strangers.sql", include_str!("../../../sql/purchases/strangers.sql")),
];
const ANSWER: &Columns = &[
    ("event_id", Type::UUID),
    ("outcome", Type::TEXT),
    ("business_key", Type::TEXT),
    ("detail", Type::TEXT),
];
const FIELD: &str = "-- makegood: field ";

/// A route's SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The text of `apply.sql`.
    pub apply: String,
    /// What tells purchases apart, and where it stands in an event.
    pub key: BusinessKey,
    /// The fields of an event that `apply.sql` is handed; if it names none, the whole payload.
    pub fields: Vec<Field>,
    /// The statements that only read.
    pub looks: Looks,
    /// Where the text came from.
    pub origin: String,
    /// Why events are believed without a look at their payments, if they are.
    pub believes: Option<String>,
    /// The payment that was found last; it shows that payments can be found.
    pub last_found: LastFound,
}

/// Why a mapping is not used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Unfit {
    /// The mapping or the host's table breaks the contract; waiting will not mend it.
    #[error("{0}")]
    Broken(Problem),
    /// The host's tables no longer fit the mapping; either may be changed, and then it mends.
    #[error("{0}")]
    Drifted(Diagnosis),
    /// The database could not be asked; it may mend.
    #[error(transparent)]
    Unknown(#[from] Fault),
}

impl Unfit {
    /// What does not fit, and what to do about it.
    pub fn diagnosis(&self) -> Diagnosis {
        match self {
            Unfit::Broken(diagnosis) | Unfit::Drifted(diagnosis) => diagnosis.clone(),
            Unfit::Unknown(fault) => fault.diagnosis(),
        }
    }

    /// As a problem for people; `doing` says what was attempted.
    pub fn problem(self, doing: &str) -> Problem {
        match self {
            Unfit::Broken(problem) => problem,
            Unfit::Drifted(why) => Problem { reason: format!("{doing}: {}", why.reason), ..why },
            Unfit::Unknown(fault) => fault.problem(doing),
        }
    }
}

impl Mapping {
    /// Reads the files of a folder, of which only `apply.sql` must be there, or takes the compiled-in ones.
    pub fn load(folder: Option<&Path>) -> Result<Mapping, Problem> {
        let (apply, looks, origin) = match folder {
            Some(folder) => {
                let file = folder.join("apply.sql");
                let text = fs::read_to_string(&file).map_err(|e| {
                    Problem::new(Code::Mapping, format!("cannot read {}: {e}", file.display()))
                        .advice("a mapping is a folder with apply.sql in it: `makegood mapping new purchases` writes the shipped one; without a mapping in the route's [[inbox]] section the compiled-in one is used")
                })?;
                (text, Looks::load(folder)?, file.display().to_string())
            }
            None => (BUILT_IN.to_owned(), Looks::built_in(), "built in".to_owned()),
        };
        let key = BusinessKey::of(&apply).map_err(|why| {
            let example = "purchases(payment_id, course_id) /data/paymentId /data/courseId";
            Problem::new(Code::Mapping, format!("{origin}: {why}")).advice(format!(
                "write a line like: {DIRECTIVE}student_course_purchases(payment_id) /data/paymentId\n\
                 or, where one payment has several: {DIRECTIVE}{example}"
            ))
        })?;
        let fields = fields(&apply).map_err(|(line, why)| {
            Problem::new(Code::Mapping, format!("{origin}, line {line}: {why}"))
                .advice(format!("a line is like: {FIELD}uuid /data/paymentId"))
        })?;
        let (believes, last_found) = (None, LastFound::default());
        Ok(Mapping { apply, key, fields, looks, origin, believes, last_found })
    }

    /// That of a route whose files cannot be read: it applies nothing and looks at nothing.
    pub fn unreadable() -> Mapping {
        Mapping {
            apply: String::new(),
            key: BusinessKey::default(),
            fields: Vec::new(),
            looks: Looks::default(),
            origin: "a mapping that cannot be read".to_owned(),
            believes: None,
            last_found: LastFound::default(),
        }
    }

    /// Whether events are turned into purchases as the compiled-in one does it, wherever the text came from.
    pub(crate) fn is_shipped(&self) -> bool {
        let code = |sql: &'static str| sql.lines().filter(|line| !line.starts_with("--"));
        self.apply.lines().filter(|line| !line.starts_with("--")).eq(code(BUILT_IN))
    }

    /// Whether it is the compiled-in one.
    pub fn is_built_in(&self) -> bool {
        self.origin == "built in"
    }

    /// A short fingerprint of the text, for logs: which version ran.
    pub fn fingerprint(&self) -> String {
        envelope::digest(self.apply.as_bytes()).iter().take(4).map(|b| format!("{b:02x}")).collect()
    }

    /// The business key of an event, as the database writes it, without a word of the database.
    pub fn key_in(&self, json: &str) -> Option<String> {
        let event: serde_json::Value = serde_json::from_str(json).ok()?;
        self.key.of_event(&self.fields, |pointer| fields::text_of(event.pointer(pointer)?))
    }

    /// The same of an event whose fields were found.
    pub fn key_of(&self, event: &Body<'_>) -> Option<String> {
        let number = |pointer: &str| self.fields.iter().position(|f| f.pointer == pointer);
        if !self.key.pointers.iter().all(|pointer| number(pointer).is_some()) {
            return self.key_in(&event.text);
        }
        let value = |pointer: &str| event.value(number(pointer)?).map(str::to_owned);
        self.key.of_event(&self.fields, value)
    }

    /// The same event with a business key that nobody has, to see whether an event like it would be taken.
    pub fn with_fresh_key(&self, json: &str, id: Uuid) -> Option<String> {
        fields::with_key(json, self.key.pointers.first()?, id)
    }

    /// Checks the contract against the database: the types that go in and come out, that the purchases
    /// have the unique key that makes a second purchase impossible, and that each column that must have
    /// a value gets one.
    pub async fn check(&self, store: &Store) -> Result<(), Unfit> {
        self.check_key(store).await?;
        self.check_apply(store).await?;
        self.check_columns(store).await
    }

    /// Checks what goes in and comes out of `apply.sql`.
    pub async fn check_apply(&self, store: &Store) -> Result<(), Unfit> {
        let statement = match store.describe(&self.apply).await {
            Ok(statement) => statement,
            // Money is no number to compare with, for example.
            Err(_) if let Some(unfit) = self.rounding(store).await? => return Err(unfit),
            Err(fault) => return Err(self.refused(store, "apply.sql", &self.apply, fault).await),
        };
        let params = self.params();
        breach(&statement, &params, ANSWER).map_or(Ok(()), |what| Err(self.broken(what)))
    }

    /// The types that go into `apply.sql`.
    fn params(&self) -> Vec<Type> {
        if self.fields.is_empty() {
            return vec![Type::UUID_ARRAY, Type::JSONB_ARRAY, Type::TIMESTAMPTZ_ARRAY];
        }
        let fields = self.fields.iter().map(|field| match field.kind {
            FieldKind::Text => Type::TEXT_ARRAY,
            FieldKind::Uuid => Type::UUID_ARRAY,
            FieldKind::Timestamptz => Type::TIMESTAMPTZ_ARRAY,
            FieldKind::Numeric { .. } => Type::NUMERIC_ARRAY,
        });
        let before = [Type::UUID_ARRAY, Type::TIMESTAMPTZ_ARRAY, Type::TEXT_ARRAY];
        before.into_iter().chain(fields).collect()
    }

    pub(super) fn broken(&self, what: String) -> Unfit {
        Unfit::Broken(
            Problem::new(Code::Mapping, format!("the mapping ({}) {what}", self.origin))
                .advice("the contract is at the top of apply.sql as shipped in sql/purchases"),
        )
    }
}

/// Names and types of a statement's columns.
type Columns = [(&'static str, Type)];

/// How a statement differs from the types its contract names, if it does.
fn breach(statement: &Shape, params: &[Type], columns: &Columns) -> Option<String> {
    let names = |types: &[Type]| types.iter().map(Type::name).collect::<Vec<_>>().join(", ");
    if statement.params != params {
        let (found, wanted) = (names(&statement.params), names(params));
        return Some(format!("takes ({found}) instead of ({wanted})"));
    }
    let found: Vec<(&str, Type)> =
        statement.columns.iter().map(|(name, t)| (name.as_str(), t.clone())).collect();
    (found != columns)
        .then(|| format!("returns ({}) instead of ({})", list_of(&found), list_of(columns)))
}

fn list_of(columns: &[(&str, Type)]) -> String {
    columns.iter().map(|(name, t)| format!("{name} {}", t.name())).collect::<Vec<_>>().join(", ")
}

/// The fields of the field lines, in their order; or the number of the line that is none, and why.
fn fields(sql: &str) -> Result<Vec<Field>, (usize, String)> {
    let lines = sql.lines().zip(1..);
    let fields = lines.filter_map(|(line, number)| Some((line.strip_prefix(FIELD)?, number)));
    fields.map(|(field, number)| field.parse().map_err(|why| (number, why))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_read_from_their_lines() {
        let sql = format!("{FIELD}uuid /a\n-- field text /b\n{FIELD}text /c\nSELECT 1");
        let read = fields(&sql).unwrap();
        assert_eq!(read.iter().map(Field::to_string).collect::<Vec<_>>(), ["a", "c"]);
        assert!(fields("SELECT 1").unwrap().is_empty());
        assert!(matches!(fields(&format!("\n{FIELD}uid /a")), Err((2, _))));
    }

    #[test]
    fn the_built_in_mapping_names_its_key() {
        let mapping = Mapping::load(None).unwrap();
        assert_eq!(
            (mapping.key.table.as_str(), mapping.key.written().as_str()),
            ("student_course_purchases", "payment_id")
        );
        assert_eq!(mapping.origin, "built in");
    }
}
