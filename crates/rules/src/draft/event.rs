//! Where values stand in an event: as one that was seen has them, or by their names.

use std::collections::BTreeMap;

use serde_json::Value;

/// Where the values of the event that was seen stand, by their names without signs and capitals.
#[derive(Clone, Debug, Default)]
pub struct EventPointers {
    pointers: BTreeMap<String, String>,
    /// Whether an event was seen.
    pub were_seen: bool,
}

impl EventPointers {
    /// Of an event's JSON.
    pub fn of_event(event: &Value) -> EventPointers {
        let mut places = EventPointers { pointers: BTreeMap::new(), were_seen: true };
        places.walk(event, "");
        places
    }

    fn walk(&mut self, value: &Value, at: &str) {
        let Value::Object(fields) = value else { return };
        for (name, value) in fields {
            let pointer = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
            if value.is_object() {
                self.walk(value, &pointer);
            } else {
                // What stands further out, as the event's own id does, is found last.
                self.pointers.insert(plain(name), pointer);
            }
        }
    }

    /// Where the value of a column stands.
    pub fn of(&self, column: &str) -> String {
        let seen = self.pointers.get(&plain(column));
        seen.cloned().unwrap_or_else(|| format!("/data/{}", camel(column)))
    }

    /// Where the payment's key stands, which may also be called after its table, or be the id in the data.
    pub fn of_key(&self, payments: &str, column: &str) -> String {
        let table = plain(payments.rsplit('.').next().unwrap_or(payments));
        let single = table.strip_suffix('s').unwrap_or(&table);
        let names = [
            plain(column),
            format!("{}id", plain(column)),
            format!("{single}id"),
            "paymentid".to_owned(),
            "id".to_owned(),
        ];
        let seen = names.iter().find_map(|name| self.pointers.get(name));
        seen.cloned().unwrap_or_else(|| self.of(column))
    }
}

fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn camel(name: &str) -> String {
    let mut parts = name.split('_').filter(|part| !part.is_empty());
    let first = parts.next().unwrap_or(name).to_owned();
    let rest = parts.map(|part| {
        let mut letters = part.chars();
        let capital = letters.next().map(|c| c.to_uppercase().collect::<String>());
        capital.unwrap_or_default() + letters.as_str()
    });
    first + &rest.collect::<String>()
}

/// The SQL that builds an object with these expressions at these pointers.
pub fn object(values: &[(String, String)]) -> String {
    let mut fields: Vec<(String, Vec<(String, String)>)> = Vec::new();
    for (pointer, value) in values {
        let path = pointer.trim_start_matches('/');
        let (name, rest) = path.split_once('/').map_or((path, ""), |(name, rest)| (name, rest));
        let name = name.replace("~1", "/").replace("~0", "~");
        let at = fields.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
            fields.push((name, Vec::new()));
            fields.len() - 1
        });
        fields[at].1.push((rest.to_owned(), value.clone()));
    }
    let field = |(name, inside): &(String, Vec<(String, String)>)| {
        let value = match inside.as_slice() {
            [(rest, value)] if rest.is_empty() => value.clone(),
            inside => object(inside),
        };
        format!("'{}', {value}", name.replace('\'', "''"))
    };
    let all: Vec<String> = fields.iter().map(field).collect();
    format!("pg_catalog.jsonb_build_object({})", all.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_by_its_name_however_it_is_written() {
        let event = serde_json::json!({ "id": "e1", "data": { "PaymentID": 7, "course-code": "x", "a/b": 1 } });
        let seen = EventPointers::of_event(&event);
        assert_eq!(seen.of("course_code"), "/data/course-code");
        assert_eq!(seen.of("a_b"), "/data/a~1b");
        assert_eq!(seen.of("paid_cents"), "/data/paidCents");
        // Not the event's own id.
        assert_eq!(seen.of_key("shop.payments", "payment"), "/data/PaymentID");
        assert_eq!(EventPointers::default().of_key("payments", "payment_id"), "/data/paymentId");
    }

    #[test]
    fn values_at_nested_places_make_one_object() {
        let value = |pointer: &str, value: &str| (pointer.to_owned(), value.to_owned());
        let sql = object(&[value("/at", "t"), value("/data/id", "i"), value("/data/a~1b", "x")]);
        let build = "pg_catalog.jsonb_build_object";
        assert_eq!(sql, format!("{build}('at', t, 'data', {build}('id', i, 'a/b', x))"));
    }
}
