//! Where in a record a value is looked for: a header, or a pointer into the JSON value.

use std::fmt;
use std::str::FromStr;

/// One place of a configured list; the first place that holds a value wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldPath {
    /// A header of this name.
    Header(String),
    /// A JSON pointer (RFC 6901) into the record's value, such as `/eventId`.
    Json(String),
}

impl FromStr for FieldPath {
    type Err = String;

    /// Reads `header:NAME` or `json:/POINTER`. The error says what would be right.
    fn from_str(text: &str) -> Result<FieldPath, String> {
        match text.split_once(':') {
            Some(("header", name)) if !name.is_empty() => Ok(FieldPath::Header(name.to_owned())),
            Some(("json", pointer)) if is_pointer(pointer) => {
                Ok(FieldPath::Json(pointer.to_owned()))
            }
            Some(("json", pointer)) => Err(format!(
                "`{pointer}` is no JSON pointer; it starts with a slash: json:/eventId"
            )),
            _ => Err(format!("`{text}` is no place; write header:NAME or json:/POINTER")),
        }
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FieldPath::Header(name) => write!(f, "header:{name}"),
            FieldPath::Json(pointer) => write!(f, "json:{pointer}"),
        }
    }
}

/// RFC 6901: starts with a slash, and every tilde is followed by 0 or 1. The empty pointer names
/// the whole document, which is no value to look for.
pub(super) fn is_pointer(text: &str) -> bool {
    let escapes_hold = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    text.starts_with('/') && escapes_hold
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back_as_it_is_written() {
        for text in ["header:id", "header:ce_id", "header:a:b", "json:/eventId", "json:/a~1b/0"] {
            assert_eq!(text.parse::<FieldPath>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_names_no_place_is_refused() {
        for text in ["", "id", "header:", "json:", "json:eventId", "json:/a~2", "body:/id"] {
            assert!(text.parse::<FieldPath>().is_err(), "{text:?} was taken");
        }
    }
}
