//! Times in events are read as PostgreSQL reads them.

use rules::fields::{self, Body, FieldValues};

use crate::support::load::chance;
use crate::support::rig::Rig;

/// A date and time, mostly one that there is, by numbers that may be drawn.
fn time(mut random: impl FnMut(i64) -> i64) -> String {
    let (year, month, day) = (1 + random(9999), 1 + random(12), 1 + random(31));
    let (hour, minute, second) = (random(25), random(60), random(61));
    let part = match random(3) {
        0 => String::new(),
        1 => format!(".{:03}", random(1000)),
        _ => format!(".{:09}", random(1_000_000_000)),
    };
    let zone = match random(3) {
        0 => "Z".to_owned(),
        1 => format!("+{:02}:{:02}", random(17), random(60)),
        _ => format!("-{:02}{:02}", random(16), random(60)),
    };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{part}{zone}")
}

/// A field that is read before it gets to PostgreSQL is read as PostgreSQL would.
#[tokio::test(flavor = "multi_thread")]
async fn times_of_events_are_those_that_postgresql_reads() {
    let rig = Rig::new(1).await;
    let sql = "CREATE FUNCTION as_time(given text) RETURNS timestamptz LANGUAGE plpgsql AS $$
               BEGIN RETURN given::timestamptz; EXCEPTION WHEN data_exception THEN RETURN NULL; END $$";
    rig.client.batch_execute(sql).await.unwrap();
    let mut rng = chance("times of events");
    let texts: Vec<String> = (0..20_000).map(|_| time(|below| rng.i64(0..below))).collect();
    let payloads: Vec<String> = texts.iter().map(|text| format!("{{\"at\":\"{text}\"}}")).collect();
    let fields = ["timestamptz /at".parse().unwrap()];
    let bodies: Vec<Body<'_>> = payloads.iter().map(|text| Body::read(text, &fields)).collect();
    let found = fields::columns(&fields, &bodies.iter().collect::<Vec<_>>());
    let [FieldValues::Timestamptz(times)] = found.columns.as_slice() else { panic!("{found:?}") };
    let sql = "SELECT (extract(epoch FROM as_time(given)) * 1000000)::bigint FROM unnest($1::text[]) WITH ORDINALITY AS g (given, place) ORDER BY place";
    let rows = rig.client.query(sql, &[&texts]).await.unwrap();
    for ((text, time), row) in texts.iter().zip(times).zip(rows) {
        assert_eq!(*time, row.get::<_, Option<i64>>(0), "{text}");
    }
    let read = times.iter().flatten().count();
    assert!((10_000..20_000).contains(&read), "{read} of 20,000 are times");
}
