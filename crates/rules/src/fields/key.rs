//! The business key of an event, read without the database: for records that it refused, or that could not be decoded.

use serde_json::Value;
use uuid::Uuid;

use super::FieldKind;

/// A key's text, written as PostgreSQL writes a value of its type. Where no field line says the type, whatever looks
/// like a UUID is one.
pub fn key_of(text: &str, kind: Option<FieldKind>) -> Option<String> {
    match (kind, Uuid::try_parse(text)) {
        (None | Some(FieldKind::Uuid), Ok(id)) => Some(id.to_string()),
        (Some(FieldKind::Uuid), Err(_)) => None,
        _ => Some(text.to_owned()).filter(|text| !text.is_empty() && !text.contains('\0')),
    }
}

/// The event with another key. A key that was a UUID is one again; a number stays one.
pub fn with_key(json: &str, pointer: &str, id: Uuid) -> Option<String> {
    let mut value: Value = serde_json::from_str(json).ok()?;
    let place = value.pointer_mut(pointer)?;
    let digits = id.as_u128() % 1_000_000_000;
    *place = match &*place {
        Value::Number(_) => Value::from(u64::try_from(digits).ok()?),
        Value::String(text) if Uuid::try_parse(text).is_ok() => Value::from(id.to_string()),
        Value::String(text) if text.bytes().all(|b| b.is_ascii_digit()) => {
            Value::from(digits.to_string())
        }
        Value::String(_) => Value::from(id.simple().to_string()),
        _ => return None,
    };
    Some(value.to_string())
}

/// A text, or a number as written; nothing for what is neither, or empty.
pub fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "67E55044-10b1-426f-9247-bb680e5fe0c8";

    #[test]
    fn a_key_is_written_as_the_database_writes_it() {
        let lower = Some(ID.to_lowercase());
        assert_eq!(key_of(ID, Some(FieldKind::Uuid)), lower);
        assert_eq!(key_of(ID, None), lower);
        assert_eq!(key_of(ID, Some(FieldKind::Text)), Some(ID.to_owned()));
        assert_eq!(key_of("17", None), Some("17".to_owned()));
        assert_eq!(key_of("17", Some(FieldKind::Uuid)), None);
        assert_eq!(key_of("a\0", None), None);
    }

    #[test]
    fn a_fresh_key_has_the_shape_of_the_old_one() {
        let id = Uuid::from_u128(5);
        let with = |key: &str| with_key(&format!(r#"{{"k":{key},"x":1}}"#), "/k", id);
        assert_eq!(with(&format!("\"{ID}\"")), Some(format!(r#"{{"k":"{id}","x":1}}"#)));
        assert_eq!(with("7"), Some(r#"{"k":5,"x":1}"#.to_owned()));
        assert_eq!(with("\"abc\"").map(|json| json.len()), Some(46));
        assert_eq!(with("null"), None);
    }
}
