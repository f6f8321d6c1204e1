//! Parameters with their types, for statements that are sent without being prepared.
//!
//! Behind a pooler in transaction mode the next statement may reach another server connection, which
//! does not know what was prepared on the last one. A statement that is sent together with the types
//! of its parameters needs no preparing: one message, no name, nothing left behind.

use bytes::BytesMut;
use tokio_postgres::types::{ToSql, Type, WrongType};

/// The types that makegood's parameters have.
const TYPES: [Type; 23] = [
    Type::TEXT,
    Type::UUID,
    Type::INT8,
    Type::INT4,
    Type::INT2,
    Type::TIMESTAMPTZ,
    Type::JSONB,
    Type::BOOL,
    Type::BYTEA,
    Type::FLOAT8,
    Type::TEXT_ARRAY,
    Type::UUID_ARRAY,
    Type::INT8_ARRAY,
    Type::INT4_ARRAY,
    Type::INT2_ARRAY,
    Type::BOOL_ARRAY,
    Type::BYTEA_ARRAY,
    Type::FLOAT8_ARRAY,
    Type::TIMESTAMPTZ_ARRAY,
    Type::JSONB_ARRAY,
    Type::NUMERIC_ARRAY,
    Type::OID,
    Type::OID_ARRAY,
];

/// Each parameter with the type that it is sent as.
pub(super) fn params<'p>(params: &[&'p (dyn ToSql + Sync)]) -> Vec<(&'p (dyn ToSql + Sync), Type)> {
    params.iter().map(|param| (*param, type_of(*param))).collect()
}

/// The first of [`TYPES`] that a parameter can be sent as. Which those are depends on its Rust type
/// alone; the driver tells by refusing the others before it looks at the value.
fn type_of(param: &(dyn ToSql + Sync)) -> Type {
    let mut scratch = BytesMut::new();
    let fits = |t: &&Type| match param.to_sql_checked(t, &mut scratch) {
        Ok(_) => true,
        Err(error) => !error.is::<WrongType>(),
    };
    // With none that fits the driver refuses the statement, and says why.
    TYPES.iter().find(fits).cloned().unwrap_or(Type::UNKNOWN)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use rust_decimal::Decimal;
    use uuid::Uuid;

    use super::*;
    use crate::json::JsonText;
    use crate::when::When;

    #[test]
    fn a_type_is_known_without_a_value() {
        let none: [(&(dyn ToSql + Sync), Type); 10] = [
            (&None::<String>, Type::TEXT),
            (&None::<&str>, Type::TEXT),
            (&None::<i64>, Type::INT8),
            (&None::<Uuid>, Type::UUID),
            (&None::<When>, Type::TIMESTAMPTZ),
            (&Vec::<Uuid>::new(), Type::UUID_ARRAY),
            (&Vec::<Option<String>>::new(), Type::TEXT_ARRAY),
            (&Vec::<JsonText<'_>>::new(), Type::JSONB_ARRAY),
            (&Vec::<Option<Decimal>>::new(), Type::NUMERIC_ARRAY),
            (&Vec::<Option<SystemTime>>::new(), Type::TIMESTAMPTZ_ARRAY),
        ];
        for (param, expected) in none {
            assert_eq!(type_of(param), expected, "{param:?}");
        }
    }

    #[test]
    fn each_value_has_its_type() {
        let some: [(&(dyn ToSql + Sync), Type); 8] = [
            (&1i16, Type::INT2),
            (&1i32, Type::INT4),
            (&1i64, Type::INT8),
            (&1f64, Type::FLOAT8),
            (&true, Type::BOOL),
            (&&b"x"[..], Type::BYTEA),
            (&JsonText("{}"), Type::JSONB),
            (&"text", Type::TEXT),
        ];
        for (param, expected) in some {
            assert_eq!(type_of(param), expected, "{param:?}");
        }
        assert_eq!(type_of(&std::net::IpAddr::from([127, 0, 0, 1])), Type::UNKNOWN);
    }
}
