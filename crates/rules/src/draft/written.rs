//! The parts of a drafted mapping's statements that depend on the columns.

use super::{CopiedValue, Draft, event};

impl Draft {
    /// The payment's time as a time with a zone.
    pub fn at(&self) -> String {
        self.at_of("")
    }

    /// The same behind a prefix.
    pub fn at_of(&self, prefix: &str) -> String {
        let zone = if self.paid_at_is_zoneless { " AT TIME ZONE 'UTC'" } else { "" };
        format!("{prefix}{}{zone}", self.paid_at)
    }

    /// A time with a zone as it is compared with the payment's.
    pub fn bound(&self, time: &str) -> String {
        match self.paid_at_is_zoneless {
            true => format!("({time} AT TIME ZONE 'UTC')"),
            false => time.to_owned(),
        }
    }

    /// The purchases' columns that are taken over, each behind this prefix.
    pub fn columns(&self, prefix: &str) -> String {
        self.terms.iter().map(|term| format!(", {prefix}{}", term.purchase)).collect()
    }

    /// The payments' columns, by the names that the purchases give them.
    pub fn taken(&self, prefix: &str) -> String {
        let one = |term: &CopiedValue| match term.payment == term.purchase {
            true => format!(", {prefix}{}", term.payment),
            false => format!(", {prefix}{} AS {}", term.payment, term.purchase),
        };
        self.terms.iter().map(one).collect()
    }

    /// Whether two rows say the same.
    pub fn same(&self, one: &str, other: &str) -> String {
        let each = |term: &CopiedValue| {
            format!("{one}.{0} IS NOT DISTINCT FROM {other}.{0}", term.purchase)
        };
        let all: Vec<String> = self.terms.iter().map(each).collect();
        if all.is_empty() { "true".to_owned() } else { all.join("\n                AND ") }
    }

    /// What people see of a row, as a JSON object.
    pub fn contents(&self, prefix: &str) -> String {
        let each = |term: &CopiedValue| {
            format!("'{}', {}", term.purchase.replace('\'', "''"), term.text(prefix))
        };
        let all: Vec<String> = self.terms.iter().map(each).collect();
        format!("pg_catalog.jsonb_build_object({})", all.join(", "))
    }

    /// The same of a row of payments itself.
    pub fn contents_of_payment(&self, prefix: &str) -> String {
        let named =
            |term: &CopiedValue| CopiedValue { purchase: term.payment.clone(), ..term.clone() };
        Draft { terms: self.terms.iter().map(named).collect(), ..self.clone() }.contents(prefix)
    }

    /// The payment's event, from the row of these aliases.
    pub fn event(&self, key: &str, prefix: &str, at: &str) -> String {
        let time = format!(
            "CASE WHEN {at} BETWEEN '0001-01-01Z' AND '9999-12-30Z' THEN \
             pg_catalog.to_char({at} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') END"
        );
        let mut values =
            vec![("/occurredAt".to_owned(), time), (self.key.pointer.clone(), key.to_owned())];
        values.extend(self.terms.iter().map(|term| (term.pointer.clone(), term.text(prefix))));
        event::object(&values)
    }
}

impl CopiedValue {
    /// Its value in JSON: a number with a fraction as a text, which keeps its zeros.
    fn text(&self, prefix: &str) -> String {
        let cast = if self.kind.starts_with("numeric") { "::text" } else { "" };
        format!("{prefix}{}{cast}", self.purchase)
    }
}
