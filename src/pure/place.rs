//! Where in a record something is looked for: a header, or a place in its JSON.

use std::fmt;
use std::str::FromStr;

/// One place, written `header:NAME` or `json:/POINTER` (RFC 6901).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The header of this name.
    Header(String),
    /// The JSON pointer into the value.
    Json(String),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("header", name)) if !name.is_empty() => Ok(Place::Header(name.into())),
            Some(("json", pointer)) if pointer.starts_with('/') => Ok(Place::Json(pointer.into())),
            _ => Err(format!("`{text}` is neither `header:NAME` nor `json:/POINTER`")),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Header(name) => write!(f, "header:{name}"),
            Place::Json(pointer) => write!(f, "json:{pointer}"),
        }
    }
}
