//! The business key: the columns that have one row for each purchase, and where their values stand in an event.
//!
//! A key of one column is told of by that column's text. One of several columns is a JSON list of their texts, written as
//! PostgreSQL's `jsonb_build_array(a::text, b::text)::text` writes it: `["a", "b"]`. So keys can be compared as texts.

use super::field_path::is_pointer;
use super::fields::{self, Field};
use super::sql::{quoted, unquoted};

/// The line that names it.
pub const DIRECTIVE: &str = "-- makegood: business-key ";

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BusinessKey {
    /// The table that holds the purchases, as the mapping names it.
    pub table: String,
    /// Its columns, as the catalogue has them.
    pub columns: Vec<String>,
    /// Where each column's value stands in an event; empty where the mapping does not say.
    pub pointers: Vec<String>,
}

impl BusinessKey {
    /// From the line of a mapping; `Err` says what is wrong with it, or that there is none.
    pub fn of(sql: &str) -> Result<BusinessKey, String> {
        let line = sql.lines().find_map(|line| line.strip_prefix(DIRECTIVE));
        let line = line.ok_or_else(|| "no line names the business key".to_owned())?;
        parse(line)
            .ok_or_else(|| format!("the line of the business key cannot be used: {}", line.trim()))
    }

    /// Whether it has several columns.
    pub fn is_composite(&self) -> bool {
        self.columns.len() > 1
    }

    /// The columns as one writes them.
    pub fn written(&self) -> String {
        self.columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ")
    }

    /// The key whose columns have these texts.
    pub fn text(&self, mut parts: Vec<String>) -> String {
        if !self.is_composite() {
            return parts.pop().unwrap_or_default();
        }
        let texts = parts.into_iter().map(|part| serde_json::Value::String(part).to_string());
        format!("[{}]", texts.collect::<Vec<_>>().join(", "))
    }

    /// The texts of the columns of a key; `None` for a text that is no such key.
    pub fn parts(&self, key: &str) -> Option<Vec<String>> {
        if !self.is_composite() {
            return Some(vec![key.to_owned()]);
        }
        let parts: Vec<String> = serde_json::from_str(key).ok()?;
        (parts.len() == self.columns.len()).then_some(parts)
    }

    /// The key of an event in which `value` finds the text at a pointer, written as PostgreSQL writes it. Where no field
    /// line says the type, whatever looks like a UUID is one.
    pub fn of_event(
        &self,
        known: &[Field],
        value: impl Fn(&str) -> Option<String>,
    ) -> Option<String> {
        let part = |pointer: &String| {
            let kind = known.iter().find(|field| field.pointer == *pointer).map(|field| field.kind);
            fields::key_of(&value(pointer)?, kind)
        };
        let parts = self.pointers.iter().map(part).collect::<Option<Vec<String>>>()?;
        (!parts.is_empty()).then(|| self.text(parts))
    }
}

/// A table, columns of it in parentheses, and what stands behind them.
pub(super) fn table_and_columns(line: &str) -> Option<(String, Vec<String>, &str)> {
    let (table, rest) = line.split_at(outside_quotes(line, '(')?);
    let rest = &rest[1..];
    let (columns, behind) = rest.split_at(outside_quotes(rest, ')')?);
    let (mut columns_left, mut columns) = (Some(columns), Vec::new());
    while let Some(left) = columns_left {
        let (column, others) = match outside_quotes(left, ',') {
            Some(at) => (&left[..at], Some(&left[at + 1..])),
            None => (left, None),
        };
        columns_left = others;
        columns.push(name(column)?);
    }
    let table = table.trim();
    let is_table = !table.is_empty() && !table.contains([')', ';']);
    is_table.then(|| (table.to_owned(), columns, &behind[1..]))
}

fn parse(line: &str) -> Option<BusinessKey> {
    let (table, columns, pointers) = table_and_columns(line)?;
    let pointers = pointers.trim();
    let pointers: Vec<String> = match columns.len() {
        1 => Some(pointers.to_owned()).filter(|text| !text.is_empty()).into_iter().collect(),
        _ => pointers.split_whitespace().map(str::to_owned).collect(),
    };
    let is_whole = pointers.is_empty() || pointers.len() == columns.len();
    let is_once = columns.iter().enumerate().all(|(at, name)| !columns[..at].contains(name));
    (is_whole && is_once && pointers.iter().all(|text| is_pointer(text))).then_some(BusinessKey {
        table,
        columns,
        pointers,
    })
}

/// A column as one writes it in SQL; one that is not in quotes is taken as it stands, whatever its capitals.
fn name(written: &str) -> Option<String> {
    let written = written.trim();
    let is_plain = !written.contains(['(', ')', ',', ';', '"']);
    let is_quoted = written.len() > 2 && written.starts_with('"') && written.ends_with('"');
    ((is_plain && !written.is_empty()) || is_quoted).then(|| unquoted(written))
}

/// Where the first such mark stands that is in no quotes.
fn outside_quotes(text: &str, mark: char) -> Option<usize> {
    let mut is_quoted = false;
    text.char_indices().find_map(|(at, c)| {
        is_quoted ^= c == '"';
        (c == mark && !is_quoted).then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<BusinessKey> {
        BusinessKey::of(&format!("-- makegood: apply\n{DIRECTIVE}{line}\nSELECT 1")).ok()
    }

    fn key(table: &str, columns: &[&str], pointers: &[&str]) -> Option<BusinessKey> {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Some(BusinessKey {
            table: table.to_owned(),
            columns: own(columns),
            pointers: own(pointers),
        })
    }

    #[test]
    fn it_is_read_from_its_line() {
        assert_eq!(read("orders(payment_id)"), key("orders", &["payment_id"], &[]));
        assert_eq!(read("shop.orders (pay)"), key("shop.orders", &["pay"], &[]));
        assert_eq!(read(r#""Orders"("paymentId")"#), key("\"Orders\"", &["paymentId"], &[]));
        assert_eq!(read(r#"o("a,b)", c)"#), key("o", &["a,b)", "c"], &[]));
        assert_eq!(read("orders(id) /data/id"), key("orders", &["id"], &["/data/id"]));
        assert_eq!(
            read(r#"orders ( payment_id , "courseId" )  /p   /c "#),
            key("orders", &["payment_id", "courseId"], &["/p", "/c"])
        );
        for wrong in [
            "orders",
            "orders()",
            "(x)",
            "orders(a, b) /a",
            "orders(a, a)",
            "orders(a,)",
            "orders(lower(x))",
            "orders(id) data",
            "orders(\"id)",
        ] {
            assert_eq!(read(wrong), None, "{wrong:?} was taken");
        }
        assert!(BusinessKey::of("SELECT 1").unwrap_err().contains("no line"));
    }

    #[test]
    fn a_key_of_several_columns_is_a_list_that_reads_back() {
        let one = read("orders(id) /id").unwrap();
        assert_eq!(one.text(vec!["a\"".to_owned()]), "a\"");
        assert_eq!(one.parts("[1]"), Some(vec!["[1]".to_owned()]));
        let two = read("orders(id, n) /id /n").unwrap();
        let parts = vec!["a\"\\\u{1}é".to_owned(), "17".to_owned()];
        let text = two.text(parts.clone());
        assert_eq!(text, r#"["a\"\\\u0001é", "17"]"#);
        assert_eq!(two.parts(&text), Some(parts));
        for other in ["a", "[\"a\"]", "[\"a\", 1]", "[\"a\", \"b\", \"c\"]"] {
            assert_eq!(two.parts(other), None, "{other}");
        }
    }

    #[test]
    fn an_event_has_a_key_if_it_has_every_part() {
        let two = read("orders(id, n) /id /n").unwrap();
        let fields = ["uuid /id".parse().unwrap()];
        const ID: &str = "67E55044-10b1-426f-9247-bb680e5fe0c8";
        let at = |id: &'static str, n: Option<&'static str>| {
            let value = move |pointer: &str| match pointer {
                "/id" => Some(id.to_owned()),
                _ => n.map(str::to_owned),
            };
            two.of_event(&fields, value)
        };
        assert_eq!(at(ID, Some("7")), Some(format!(r#"["{}", "7"]"#, ID.to_lowercase())));
        assert_eq!(at(ID, None), None);
        assert_eq!(at("x", Some("7")), None);
    }
}
