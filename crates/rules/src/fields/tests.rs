use super::*;

fn field(text: &str) -> Field {
    text.parse().expect(text)
}

/// What one field of one event is read as; or why it is not.
fn one(kind: &str, json: &str) -> Result<FieldValues<'static>, String> {
    let payload: &'static str = format!(r#"{{"a":{{"b":{json}}}}}"#).leak();
    let fields = [field(&format!("{kind} /a/b"))];
    let body: &'static Body<'static> = Box::leak(Box::new(Body::read(payload, &fields)));
    let Columns { mut faults, mut columns } = columns(&fields, &[body]);
    let column = columns.pop().expect("a column");
    faults.pop().expect("a row").map_or(Ok(column), Err)
}

#[test]
fn a_field_is_a_type_and_a_pointer() {
    assert_eq!(field("uuid /data/a~1b").to_string(), "data.a/b");
    assert_eq!(field("  numeric(12,2)   /n ").kind, FieldKind::Numeric { precision: 12, scale: 2 });
    for wrong in [
        "",
        "uuid",
        "uuid data",
        "/data",
        "uid /data",
        "numeric /n",
        "numeric(2,3) /n",
        "numeric(29,2) /n",
        "numeric(0,0) /n",
        "text /a~2",
    ] {
        assert!(wrong.parse::<Field>().is_err(), "{wrong:?} was taken");
    }
}

#[test]
fn what_is_not_there_is_null_and_what_is_of_another_type_a_fault() {
    for kind in ["text", "uuid", "timestamptz", "numeric(12,2)"] {
        assert!(one(kind, "null").is_ok(), "{kind}");
        for other in ["true", "[]", "{}"] {
            assert_eq!(one(kind, other).is_err(), kind != "timestamptz", "{kind} {other}");
        }
    }
    let fields = [field("text /none/of/this"), field("uuid /id"), field("uuid /other")];
    let texts = [r#"{"id":"x","other":"y"}"#, r#"{"none":5}"#, "[]"];
    let bodies = texts.map(|text| Body::read(text, &fields));
    let read = columns(&fields, &bodies.each_ref());
    let faults = [Some("id is not a UUID"), None, Some("the top level is no object")];
    assert_eq!(read.faults, faults.map(|fault| fault.map(str::to_owned)));
    assert_eq!(read.columns[0], FieldValues::Text(vec![None, None, None]));
    assert_eq!(read.columns[1], FieldValues::Uuid(vec![None, None, None]));
}

#[test]
fn texts_and_numbers_are_taken_as_they_are_written() {
    for (json, text) in [(r#""a\u0062""#, "ab"), (r#""""#, ""), ("12.30", "12.30")] {
        assert_eq!(one("text", json), Ok(FieldValues::Text(vec![Some(text.into())])));
    }
}

#[test]
fn ids_are_taken_as_postgresql_takes_them() {
    let id = Uuid::from_u128(0x6ba7_b810_9dad_11d1_80b4_00c0_4fd4_30c8);
    for text in [id.to_string(), id.simple().to_string(), format!("{{{id}}}")] {
        assert_eq!(one("uuid", &format!("\"{text}\"")), Ok(FieldValues::Uuid(vec![Some(id)])));
    }
    for wrong in [id.urn().to_string(), "pay_17".into(), String::new(), format!(" {id}")] {
        let fault = one("uuid", &format!("\"{wrong}\""));
        assert_eq!(fault, Err("a.b is not a UUID".to_owned()), "{wrong}");
    }
    assert!(one("uuid", "17").is_err());
}

#[test]
fn amounts_are_plain_digits_that_are_never_rounded() {
    for (text, unscaled, scale) in [
        ("0", 0, 0),
        ("0.00", 0, 2),
        ("12.3", 123, 1),
        ("-1", -1, 0),
        ("9999999999.99", 999_999_999_999, 2),
    ] {
        let number = FieldValues::Numeric(vec![Some(Decimal::new(unscaled, scale))]);
        assert_eq!(one("numeric(12,2)", &format!("\"{text}\"")), Ok(number.clone()));
        assert_eq!(one("numeric(12,2)", text), Ok(number));
    }
    for wrong in [
        "1.005",
        "1e2",
        "NaN",
        "12,30",
        "1 000",
        "007",
        "+5",
        ".5",
        "5.",
        "99999999999",
        "",
        " 5",
        "5\\n",
        "-0",
        "-0.00",
        "--1",
        "-",
        "\u{661}",
    ] {
        assert!(one("numeric(12,2)", &format!("\"{wrong}\"")).is_err(), "{wrong:?} was taken");
    }
    let three = Ok(FieldValues::Numeric(vec![Some(3.into())]));
    assert_eq!(one("numeric(3,0)", "\"3.0\""), three);
    assert_eq!(one("numeric(3,0)", "3.0000000"), three);
    assert!(one("numeric(3,0)", "\"1.01\"").is_err());
    assert!(one("numeric(2,2)", "\"0.25\"").is_ok());
    let most = "9".repeat(28);
    assert!(one("numeric(28,0)", &format!("\"{most}\"")).is_ok());
}

#[test]
fn times_are_those_of_rfc_3339() {
    for (text, micros) in [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-01-07T16:55:09Z", 1_767_804_909_000_000),
        ("2026-01-07T16:55:09.25+05:30", 1_767_785_109_250_000),
        ("2026-01-07t16:55:09z", 1_767_804_909_000_000),
        ("2026-01-07 16:55:09Z", 1_767_804_909_000_000),
        ("2026-01-07T16:55:09.1234567-0530", 1_767_824_709_123_457),
        ("2026-01-07T16:55:09.1234565Z", 1_767_804_909_123_456),
        ("2026-01-07T24:00:00Z", 1_767_830_400_000_000),
        ("2016-12-31T23:59:60Z", 1_483_228_800_000_000),
        ("1960-01-01T00:00:00-1200", -315_576_000_000_000),
        ("9999-12-31T23:59:59Z", 253_402_300_799_000_000),
    ] {
        let read = one("timestamptz", &format!("\"{text}\""));
        assert_eq!(read, Ok(FieldValues::Timestamptz(vec![Some(micros)])), "{text}");
    }
    for wrong in [
        "",
        "now",
        "infinity",
        "2026-01-07",
        "2026-01-07T16:55:09",
        "2026-01-07_16:55:09Z",
        "2026-01-07  16:55:09Z",
        "2026-02-30T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "2026-01-07T16:55:039Z",
        "0024-01--4T16:55:09Z",
        "2026-01-07T16:55:61Z",
        "2026-01-07T24:00:01Z",
        "2026-01-07T23:59:60.5Z",
        "2026-01-07T16:55:09.Z",
        "2026-01-07T16:55:09.1x Z",
        "2026-01-07T16:55:09+25:00",
        "2026-01-07T16:55:09+5",
        "2026-01-07T16:55:09+é0:0",
        "2026-01-07T16:55:09Z ",
    ] {
        // No event is refused for its time.
        let read = one("timestamptz", &format!("\"{wrong}\""));
        assert_eq!(read, Ok(FieldValues::Timestamptz(vec![None])), "{wrong:?} was taken");
    }
}
