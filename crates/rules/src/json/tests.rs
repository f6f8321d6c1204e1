use super::*;

fn reason(text: &str) -> Option<Reason> {
    read(text, &Pointers::default()).err().map(|rejection| rejection.reason)
}

/// Why `jsonb` would refuse an object.
fn refused(text: &str) -> Option<Reason> {
    let object = read(text, &Pointers::default()).expect("well-formed");
    object.refused_by_jsonb.map(|rejection| rejection.reason)
}

fn find(text: &str, pointer: &str) -> Option<String> {
    let Object { mut found, refused_by_jsonb } = read(text, &Pointers::new([pointer])).expect(text);
    assert_eq!(refused_by_jsonb, None, "{text}");
    let found = found.pop().expect("one pointer's place");
    found.map(|found| found.text().map_or("other".to_owned(), |text| text.to_string()))
}

#[test]
fn pointers_find_texts_and_numbers_as_written() {
    for (text, pointer, found) in [
        (r#"{"id":"x"}"#, "/id", Some("x")),
        (r#"{"\u0069d":"\u0078"}"#, "/id", Some("x")),
        (r#"{"a":{"b":[7,{"c":"x"}]},"b":1}"#, "/a/b/1/c", Some("x")),
        (r#"{"a":[7]}"#, "/a/0", Some("7")),
        (r#"{"a/b":{"~":"x"}}"#, "/a~1b/~0", Some("x")),
        (r#"{"":"x"}"#, "/", Some("x")),
        (
            r#"{"id" : 12345678901234567890123456789012345678901 }"#,
            "/id",
            Some("12345678901234567890123456789012345678901"),
        ),
        (r#"{"id":-0.10}"#, "/id", Some("-0.10")),
        (r#"{"id":-3}"#, "/id", Some("-3")),
        (r#"{"id":null}"#, "/id", None),
        (r#"{"id":true}"#, "/id", Some("other")),
        (r#"{"id":{"id":"x"}}"#, "/id", Some("other")),
        (r#"{"id":[]}"#, "/id", Some("other")),
        (r#"{"x":{"id":"x"}}"#, "/id", None),
        (r#"{"ids":"x"}"#, "/id", None),
    ] {
        assert_eq!(find(text, pointer).as_deref(), found, "{text}");
    }
}

#[test]
fn texts_without_escapes_are_borrowed() {
    let found = read(r#"{"id":"x"}"#, &Pointers::new(["/id"])).expect("an object").found;
    assert!(matches!(found[..], [Some(AtPointer::Text(Cow::Borrowed("x")))]));
}

#[test]
fn pointers_may_share_steps_lead_through_each_other_and_be_the_same() {
    let pointers = Pointers::new(["/a/b", "/a", "/a/b", "/a/b/c", "/d"]);
    let found = read(r#"{"a":{"b":"x","e":"y"},"b":"z"}"#, &pointers).expect("an object").found;
    let x = Some(AtPointer::Text("x".into()));
    assert_eq!(found, [x.clone(), Some(AtPointer::Other), x, None, None]);
}

#[test]
fn what_is_no_single_object_is_refused() {
    for text in [
        "",
        " ",
        "{",
        "{} {}",
        "{}x",
        "{'a':1}",
        "{\"a\":1,}",
        "{\"a\":1 /* */}",
        "{\"a\":007}",
        "{\"a\":+5}",
        "{\"a\":.5}",
        "{\"a\":5.}",
        "{\"a\":0x10}",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\\x\"}",
        "[1,",
        "tru",
    ] {
        assert_eq!(reason(text), Some(Reason::NotJson), "{text}");
    }
    for text in ["[]", "null", "true", "-1", " \"a\"", "[{}]"] {
        assert_eq!(reason(text), Some(Reason::NotAnObject), "{text}");
    }
}

#[test]
fn depth_is_bounded_without_exhausting_the_stack() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(reason(&nested(126)), None);
    assert_eq!(reason(&nested(127)), Some(Reason::TooDeep));
    assert_eq!(reason(&nested(1_000_000)), Some(Reason::TooDeep));
    assert_eq!(reason(&"{\"a\":".repeat(1_000_000)), Some(Reason::TooDeep));
}

#[test]
fn a_key_may_come_twice_only_with_the_same_value() {
    let many = |last: &str| {
        let keys: String = (0..40).map(|n| format!("\"k{n}\":{n},")).collect();
        format!("{{{keys}\"k7\":{last}}}")
    };
    for text in [
        r#"{"a":1,"a":1}"#,
        r#"{"a":{"b":[1]}, "a" : {"b":[1]} }"#,
        r#"{"a":1,"b":{"a":2}}"#,
        r#"{"x":[{"a":1},{"a":2}]}"#,
        &many("7"),
    ] {
        assert_eq!(reason(text), None, "{text}");
    }
    for text in [
        r#"{"a":1,"a":2}"#,
        r#"{"a":1,"a":1,"a":2}"#,
        r#"{"a":2,"a":1,"a":2}"#,
        r#"{"x":[{"a":1,"a":"1"}]}"#,
        r#"{"a":1,"\u0061":2}"#,
        &many("8"),
        r#"{"a":9007199254740993,"a":9007199254740992}"#,
    ] {
        assert_eq!(reason(text), Some(Reason::DuplicateKey), "{text}");
    }
}

#[test]
fn characters_that_jsonb_refuses_are_refused() {
    for text in [
        r#"{"a":"\ud800"}"#,
        r#"{"a":"\udc00\ud800"}"#,
        r#"{"\udfff":1}"#,
        r#"{"a":["\ud800\u0041"]}"#,
        r#"{"a":"\ud800\n"}"#,
    ] {
        assert_eq!(reason(text), Some(Reason::BadText), "{text}");
    }
    for text in [r#"{"a":"x\u0000"}"#, r#"{"\u0000":1}"#, r#"{"a":[{"b":"\u0000"}]}"#] {
        assert_eq!(refused(text), Some(Reason::NulInText), "{text}");
    }
    assert_eq!(refused(r#"{"a":"\ud83d\ude00 \\u0000 \uffff"}"#), None);
}

#[test]
fn numbers_are_refused_only_when_they_cannot_be_held() {
    for number in [
        "0",
        "-0",
        "1e2",
        "1e308",
        "1e-400",
        "9007199254740993",
        "18446744073709551616",
        &"9".repeat(300),
    ] {
        assert_eq!(refused(&format!("{{\"a\":{number}}}")), None, "{number}");
    }
    for number in ["1E+400", "1e99999999999999999999", &"9".repeat(131_073)] {
        let text = format!("{{\"a\":{number}}}");
        assert_eq!(reason(&text), Some(Reason::NumberOutOfRange), "{number}");
    }
    assert_eq!(refused("{\"a\":1e-16384}"), Some(Reason::NumberOutOfRange));
}

/// What is found where nobody reads anything but `/id`.
fn found_alone(text: &str) -> Result<Option<String>, Reason> {
    let read = read(text, &Pointers::new(["/id"]).alone(true));
    let mut object = read.map_err(|rejection| rejection.reason)?;
    assert_eq!(object.refused_by_jsonb, None);
    Ok(object.found.pop().flatten().and_then(|found| found.text().map(ToString::to_string)))
}

#[test]
fn what_nobody_reads_is_held_against_no_text() {
    for rest in [
        r#""note":"a\u0000b""#,
        r#""note":"\ud83d""#,
        r#""note":"\ude00\ud83d!\\ud83d \" x""#,
        r#""note":"é\ud83d\ud83d\ude00""#,
        r#""score":1e400"#,
        r#""score":-1e400,"n":[0.0e-16383]"#,
        r#""a":NaN,"b":[Infinity,-Infinity]"#,
        r#""traceId":"a","traceId":"b""#,
        r#""a":{"id":1,"id":2}"#,
    ] {
        let text = format!(r#"{{"id":"x",{rest}}}"#);
        assert_eq!(found_alone(&text), Ok(Some("x".to_owned())), "{text}");
        assert!(reason(&text).or_else(|| refused(&text)).is_some(), "{text}");
    }
}

#[test]
fn what_is_read_must_be_sound() {
    for id in [r#""a\ud83d""#, "NaN", "1e400", "-Infinity"] {
        let text = format!(r#"{{"id":{id},"n":NaN}}"#);
        assert_eq!(found_alone(&text), Ok(None), "{text}");
    }
    assert_eq!(found_alone(r#"{"id":1,"id":2}"#), Err(Reason::DuplicateKey));
    for broken in
        [r#"{"id":"x",}"#, r#"{"id":"x","n":NaN"#, r#"{"id":"x","n":N}"#, r#"{"n":"\ud83d}"#]
    {
        assert_eq!(found_alone(broken), Err(Reason::NotJson), "{broken}");
    }
}
