//! Which types of columns an event's value can be read for.

/// A time with a zone, as PostgreSQL writes the type.
pub const ZONED: &str = "timestamp with time zone";
/// A time without one.
pub const ZONELESS: &str = "timestamp without time zone";

/// What becomes of a value in an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DraftKind {
    /// An id.
    Uuid,
    /// A whole number of a type, with so many digits that it holds each of them.
    Whole(&'static str, u8),
    /// A number with so many digits, of them so many behind the point.
    Numeric(String),
    /// A text.
    Text,
    /// A time with a zone.
    Time,
}

impl DraftKind {
    /// The kind of a column's type; `None` for what no field can be read as.
    pub fn of(column: &str) -> Option<DraftKind> {
        match column {
            "uuid" => Some(DraftKind::Uuid),
            "bigint" => Some(DraftKind::Whole("bigint", 18)),
            "integer" => Some(DraftKind::Whole("integer", 9)),
            "smallint" => Some(DraftKind::Whole("smallint", 4)),
            ZONED => Some(DraftKind::Time),
            "text" | "character varying" => Some(DraftKind::Text),
            other if other.starts_with("character") => Some(DraftKind::Text),
            other => {
                let digits = other.strip_prefix("numeric(")?.strip_suffix(')')?;
                Some(DraftKind::Numeric(digits.replace(' ', "")))
            }
        }
    }

    /// The type in a field line.
    pub fn field(&self) -> String {
        match self {
            DraftKind::Uuid => "uuid".to_owned(),
            DraftKind::Whole(_, digits) => format!("numeric({digits},0)"),
            DraftKind::Numeric(digits) => format!("numeric({digits})"),
            DraftKind::Text => "text".to_owned(),
            DraftKind::Time => "timestamptz".to_owned(),
        }
    }

    /// The type of the array that `apply.sql` is handed.
    pub fn param(&self) -> &'static str {
        match self {
            DraftKind::Uuid => "uuid",
            DraftKind::Whole(..) | DraftKind::Numeric(_) => "numeric",
            DraftKind::Text => "text",
            DraftKind::Time => "timestamptz",
        }
    }

    /// The type that a value is compared as.
    pub fn column(&self) -> &'static str {
        match self {
            DraftKind::Whole(kind, _) => kind,
            other => other.param(),
        }
    }

    /// The first value there can be, where it can be a key.
    pub fn first_key(&self) -> Option<&'static str> {
        match self {
            DraftKind::Uuid => Some("'00000000-0000-0000-0000-000000000000'"),
            DraftKind::Whole("bigint", _) => Some("'-9223372036854775808'"),
            DraftKind::Whole("integer", _) => Some("'-2147483648'"),
            DraftKind::Whole(..) => Some("'-32768'"),
            DraftKind::Text => Some("''"),
            DraftKind::Numeric(_) | DraftKind::Time => None,
        }
    }

    /// What the text of a key looks like.
    pub fn pattern(&self) -> Option<&'static str> {
        match self {
            DraftKind::Uuid => Some("^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"),
            DraftKind::Whole("bigint", _) => Some("^[0-9]{1,18}$"),
            DraftKind::Whole("integer", _) => Some("^[0-9]{1,9}$"),
            DraftKind::Whole(..) => Some("^[0-9]{1,4}$"),
            DraftKind::Numeric(_) | DraftKind::Text | DraftKind::Time => None,
        }
    }
}
