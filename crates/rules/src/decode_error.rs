//! Why a record cannot become an event. Its bytes go to quarantine, the records behind it go on.

/// The reason a record is quarantined before the mapping has seen it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The value has no bytes; a tombstone (null) is something else.
    Empty,
    /// There is no value, and the topic is not known to be one whose log has tombstones.
    NoValue,
    /// The value is longer than the route allows.
    Oversize,
    /// The value begins with the zero byte of a schema registry's framing: Avro, Protobuf.
    SchemaFraming,
    /// The value is not UTF-8.
    NotUtf8,
    /// The value is not JSON as RFC 8259 has it.
    NotJson,
    /// The value is JSON, but no object.
    NotAnObject,
    /// Objects and arrays are nested deeper than 127 levels.
    TooDeep,
    /// One object has the same key twice with different values; readers disagree which one counts.
    DuplicateKey,
    /// A text contains U+0000, which PostgreSQL's `text` and `jsonb` cannot hold.
    NulInText,
    /// A text contains half of a surrogate pair, which is no character.
    BadText,
    /// A number is outside of what makegood or PostgreSQL's `numeric` can hold.
    NumberOutOfRange,
    /// The route takes one type of event, and the record names none.
    NoType,
    /// An envelope that the route takes off cannot be opened.
    BrokenEnvelope,
    /// The mapping would read nothing of it, and it looks like an envelope that the route does not take off.
    Wrapped,
    /// The record says two things of its type, or one that reads like the route's and is not.
    TypeUnclear,
}

impl Reason {
    /// The stable name stored in quarantine and used as a metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Empty => "empty",
            Reason::NoValue => "no_value",
            Reason::Oversize => "oversize",
            Reason::SchemaFraming => "schema_framing",
            Reason::NotUtf8 => "not_utf8",
            Reason::NotJson => "not_json",
            Reason::NotAnObject => "not_an_object",
            Reason::TooDeep => "too_deep",
            Reason::DuplicateKey => "duplicate_key",
            Reason::NulInText => "nul_in_text",
            Reason::BadText => "bad_text",
            Reason::NumberOutOfRange => "number_out_of_range",
            Reason::NoType => "no_type",
            Reason::BrokenEnvelope => "broken_envelope",
            Reason::Wrapped => "wrapped",
            Reason::TypeUnclear => "type_unclear",
        }
    }
}

/// A reason and its particulars, safe to log: `detail` never repeats text of the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// What is wrong.
    pub reason: Reason,
    /// Where or how much, for people.
    pub detail: String,
}

impl Rejection {
    /// A rejection with its particulars.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Rejection { reason, detail: detail.into() }
    }
}
