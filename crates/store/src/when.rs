//! Times on their way to and from PostgreSQL, which knows more of them than jiff does: infinity on both
//! sides, and years up to 294276. What jiff cannot hold becomes its first or its last moment, and those two
//! are sent as infinities, as is what PostgreSQL cannot hold: no time makes reading or writing a row fail, and
//! a place in the order of time stays where it was. The driver's own conversion panics on such times, so that Cargo.toml leaves it out.

use std::error::Error;

use bytes::BytesMut;
use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

/// Microseconds from 1970 to 2000, where PostgreSQL counts from.
const EPOCH: i64 = 946_684_800_000_000;
/// The first finite time that it takes, of the year 4714 BC, from 2000 on.
const FIRST: i64 = -211_813_488_000_000_000;

/// A time as a `timestamptz`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct When(pub Timestamp);

impl When {
    /// As the server takes it.
    pub(super) fn wire(self) -> [u8; 8] {
        let since = match self.0.as_microsecond().saturating_sub(EPOCH) {
            _ if self.0 == Timestamp::MAX => i64::MAX,
            since if since < FIRST => i64::MIN,
            since => since,
        };
        since.to_be_bytes()
    }
}

impl FromSql<'_> for When {
    fn from_sql(_: &Type, raw: &[u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let since = i64::from_be_bytes(raw.try_into()?);
        let known = since.checked_add(EPOCH).map(Timestamp::from_microsecond);
        let bound = if since < 0 { Timestamp::MIN } else { Timestamp::MAX };
        Ok(When(known.and_then(Result::ok).unwrap_or(bound)))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }
}

impl ToSql for When {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(&self.wire());
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }

    to_sql_checked!();
}

/// Times as parameters.
pub(super) trait Sent {
    /// What is sent.
    type As;
    /// As the parameter of a statement.
    fn sent(&self) -> Self::As;
}

impl Sent for Timestamp {
    type As = When;

    fn sent(&self) -> When {
        When(*self)
    }
}

impl Sent for Option<Timestamp> {
    type As = Option<When>;

    fn sent(&self) -> Option<When> {
        self.map(When)
    }
}

/// The times of a row of makegood's own.
pub(super) trait Times {
    /// A time that may be null.
    fn time(&self, column: &str) -> Option<Timestamp>;
    /// A time that is never null in makegood's own tables.
    fn moment(&self, column: &str) -> Timestamp;
}

impl Times for Row {
    fn time(&self, column: &str) -> Option<Timestamp> {
        self.get::<_, Option<When>>(column).map(|when| when.0)
    }

    fn moment(&self, column: &str) -> Timestamp {
        self.time(column).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(since_2000: i64) -> Timestamp {
        When::from_sql(&Type::TIMESTAMPTZ, &since_2000.to_be_bytes()).unwrap().0
    }

    fn written(at: Timestamp) -> i64 {
        let mut out = BytesMut::new();
        When(at).to_sql(&Type::TIMESTAMPTZ, &mut out).unwrap();
        i64::from_be_bytes(out.as_ref().try_into().unwrap())
    }

    #[test]
    fn every_time_of_postgresql_can_be_read_and_the_ends_stay_the_ends() {
        assert_eq!(read(0), "2000-01-01T00:00:00Z".parse().unwrap());
        // infinity, the last moment of the year 294276, 9999-12-31
        for late in [i64::MAX, 9_223_371_331_199_999_999, 252_455_616_000_000_000] {
            assert_eq!((read(late), written(read(late))), (Timestamp::MAX, i64::MAX));
        }
        assert_eq!(written(read(FIRST)), FIRST);
        // Kafka's times may be earlier.
        assert_eq!(written(read(FIRST - 1)), i64::MIN);
        assert_eq!((read(i64::MIN), written(read(i64::MIN))), (Timestamp::MIN, i64::MIN));
        for at in [-1, 0, 1, 1_700_000_000_000_000] {
            assert_eq!(written(read(at)), at);
        }
    }
}
