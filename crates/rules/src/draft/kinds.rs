//! Which types of columns an event's value can be read for.

/// A time with a zone, as PostgreSQL writes the type.
pub const ZONED: &str = "timestamp with time zone";
/// A time without one.
pub const ZONELESS: &str = "timestamp without time zone";

/// What becomes of a value in an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
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

impl Kind {
    /// The kind of a column's type; `None` for what no field can be read as.
    pub fn of(column: &str) -> Option<Kind> {
        match column {
            "uuid" => Some(Kind::Uuid),
            "bigint" => Some(Kind::Whole("bigint", 18)),
            "integer" => Some(Kind::Whole("integer", 9)),
            "smallint" => Some(Kind::Whole("smallint", 4)),
            ZONED => Some(Kind::Time),
            "text" | "character varying" => Some(Kind::Text),
            other if other.starts_with("character") => Some(Kind::Text),
            other => {
                let digits = other.strip_prefix("numeric(")?.strip_suffix(')')?;
                Some(Kind::Numeric(digits.replace(' ', "")))
            }
        }
    }

    /// The type in a field line.
    pub fn field(&self) -> String {
        match self {
            Kind::Uuid => "uuid".to_owned(),
            Kind::Whole(_, digits) => format!("numeric({digits},0)"),
            Kind::Numeric(digits) => format!("numeric({digits})"),
            Kind::Text => "text".to_owned(),
            Kind::Time => "timestamptz".to_owned(),
        }
    }

    /// The type of the array that `apply.sql` is handed.
    pub fn param(&self) -> &'static str {
        match self {
            Kind::Uuid => "uuid",
            Kind::Whole(..) | Kind::Numeric(_) => "numeric",
            Kind::Text => "text",
            Kind::Time => "timestamptz",
        }
    }

    /// The type that a value is compared as.
    pub fn column(&self) -> &'static str {
        match self {
            Kind::Whole(kind, _) => kind,
            other => other.param(),
        }
    }

    /// The first value there can be, where it can be a key.
    pub fn first_key(&self) -> Option<&'static str> {
        match self {
            Kind::Uuid => Some("'00000000-0000-0000-0000-000000000000'"),
            Kind::Whole("bigint", _) => Some("'-9223372036854775808'"),
            Kind::Whole("integer", _) => Some("'-2147483648'"),
            Kind::Whole(..) => Some("'-32768'"),
            Kind::Text => Some("''"),
            Kind::Numeric(_) | Kind::Time => None,
        }
    }

    /// What the text of a key looks like.
    pub fn pattern(&self) -> Option<&'static str> {
        match self {
            Kind::Uuid => Some("^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"),
            Kind::Whole("bigint", _) => Some("^[0-9]{1,18}$"),
            Kind::Whole("integer", _) => Some("^[0-9]{1,9}$"),
            Kind::Whole(..) => Some("^[0-9]{1,4}$"),
            Kind::Numeric(_) | Kind::Text | Kind::Time => None,
        }
    }
}
