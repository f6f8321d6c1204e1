//! What `apply.sql` is handed: the payloads, or the fields it names.

use std::time::{Duration, SystemTime};

use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::batch::Fresh;
use crate::json::JsonText;
use crate::mapping::Mapping;
use crate::when::When;
use rules::fields::{self, Body, Columns, FieldValues};

/// The parameters of one run.
pub(super) struct Input<'a> {
    ids: Vec<Uuid>,
    times: Vec<When>,
    given: Given<'a>,
}

enum Given<'a> {
    Payloads(Vec<JsonText<'a>>),
    Fields { faults: Vec<Option<String>>, columns: Vec<Array<'a>> },
}

/// An array of one type or another.
type Array<'a> = Box<dyn ToSql + Sync + Send + 'a>;

impl<'a> Input<'a> {
    /// Of these events, for this mapping.
    pub(super) fn of(mapping: &Mapping, events: &[&'a Fresh<'_>]) -> Input<'a> {
        let bodies = events.iter().map(|event| &*event.body);
        let given = match mapping.fields.as_slice() {
            [] => Given::Payloads(bodies.map(|body| JsonText(&body.text)).collect()),
            fields => {
                let bodies: Vec<&Body<'_>> = bodies.collect();
                let Columns { faults, columns } = fields::columns(fields, &bodies);
                Given::Fields { faults, columns: columns.into_iter().map(array).collect() }
            }
        };
        let ids = events.iter().map(|event| event.id).collect();
        let times = events.iter().map(|event| When(event.at)).collect();
        Input { ids, times, given }
    }

    /// As [`Mapping::check_apply`] expects them.
    pub(super) fn params(&self) -> Vec<&(dyn ToSql + Sync)> {
        match &self.given {
            Given::Payloads(payloads) => vec![&self.ids, payloads, &self.times],
            Given::Fields { faults, columns } => {
                let before: [&(dyn ToSql + Sync); 3] = [&self.ids, &self.times, faults];
                let columns = columns.iter().map(|column| column.as_ref() as &(dyn ToSql + Sync));
                before.into_iter().chain(columns).collect()
            }
        }
    }
}

fn array(column: FieldValues<'_>) -> Array<'_> {
    match column {
        FieldValues::Text(values) => Box::new(values),
        FieldValues::Uuid(values) => Box::new(values),
        FieldValues::Numeric(values) => Box::new(values),
        FieldValues::Timestamptz(micros) => {
            let times = micros.into_iter().map(|micros| micros.and_then(time));
            Box::new(times.collect::<Vec<Option<SystemTime>>>())
        }
    }
}

/// The type that the driver takes with the range of PostgreSQL's own; jiff's ends a day sooner.
fn time(micros: i64) -> Option<SystemTime> {
    let since = Duration::from_micros(micros.unsigned_abs());
    let epoch = SystemTime::UNIX_EPOCH;
    if micros < 0 { epoch.checked_sub(since) } else { epoch.checked_add(since) }
}
