//! Records that producers really send when something is wrong with them, and what must become of each.

use rules::record::Record;

use super::events::{Payment, raw};

/// What must become of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Unreadable as an event: quarantined for this reason.
    Unreadable(&'static str),
    /// Refused by the mapping, which says why: quarantined as `rejected`.
    Rejected(&'static str),
    /// In the inbox as `applied`, and its payment has its purchase.
    Applied,
    /// In the inbox with this other outcome.
    Kept(&'static str),
    /// Counted and nothing else.
    Counted,
}

/// One record of the corpus.
pub struct Case {
    pub name: String,
    pub record: Record,
    pub fate: Fate,
    /// What it pays, if it must become a purchase.
    pub pays: Option<Payment>,
}

/// The corpus, gathered.
#[derive(Default)]
pub struct Corpus {
    pub cases: Vec<Case>,
}

impl Corpus {
    /// A record with these bytes.
    pub fn value(&mut self, name: &str, value: impl Into<Vec<u8>>, fate: Fate) {
        let record = raw(Some(b"corpus"), Some(&value.into()));
        self.cases.push(Case { name: name.to_owned(), record, fate, pays: None });
    }

    /// A payment's event after a change to its JSON text.
    pub fn event(&mut self, name: &str, fate: Fate, change: impl Fn(&Payment, String) -> String) {
        let payment = Payment::new(self.cases.len());
        let value = change(&payment, payment.json());
        self.value(name, value, fate);
        self.pays(payment);
    }

    /// A payment's event with another JSON value, as written, in one field.
    pub fn field(&mut self, field: &str, json: &str, fate: Fate) {
        let name = format!("{field} = {}", json.chars().take(40).collect::<String>());
        self.event(&name, fate, |_, text| with_field(&text, field, json));
    }

    /// A payment's event with more text right behind its opening brace.
    pub fn extra(&mut self, name: &str, json: &str, fate: Fate) {
        self.event(name, fate, |_, text| text.replacen('{', &format!("{{{json},"), 1));
    }

    /// A payment's record after a change that leaves its value as it is.
    pub fn record(&mut self, name: &str, change: impl Fn(&mut Record)) {
        let payment = Payment::new(self.cases.len());
        let mut record = payment.record();
        change(&mut record);
        self.cases.push(Case { name: name.to_owned(), record, fate: Fate::Applied, pays: None });
        self.pays(payment);
    }

    /// The last case, if it must be applied, pays this.
    pub fn pays(&mut self, payment: Payment) {
        if let Some(case) = self.cases.last_mut().filter(|case| case.fate == Fate::Applied) {
            case.pays = Some(payment);
        }
    }
}

/// An event's text with another JSON value in one field.
pub fn with_field(text: &str, field: &str, json: &str) -> String {
    let key = format!("\"{field}\":");
    let (before, rest) = text.split_once(&key).expect("the event has that field");
    let end = rest.find([',', '}']).expect("a value ends");
    format!("{before}{key}{json}{}", &rest[end..])
}

/// The whole corpus. Amounts and times are the default mapping's business, all else the envelope's.
pub fn corpus() -> Corpus {
    let mut corpus = Corpus::default();
    bytes(&mut corpus);
    syntax(&mut corpus);
    identities(&mut corpus);
    texts(&mut corpus);
    amounts(&mut corpus);
    times(&mut corpus);
    transport(&mut corpus);
    corpus
}

fn bytes(c: &mut Corpus) {
    use Fate::{Applied, Unreadable};
    let json = Payment::new(0).json();
    c.value("no bytes", "", Unreadable("empty"));
    c.value("a single NUL", "\0", Unreadable("not_json"));
    c.value("bytes of 255", [0xff; 7], Unreadable("not_utf8"));
    c.value("invalid UTF-8 in a text", *b"{\"eventType\":\"\xc3\x28\"}", Unreadable("not_utf8"));
    c.value("an overlong slash", *b"{\"a\":\"\xc0\xaf\"}", Unreadable("not_utf8"));
    c.event("a byte order mark", Applied, |_, text| format!("\u{feff}{text}"));
    let utf16: Vec<u8> = json.encode_utf16().flat_map(u16::to_le_bytes).collect();
    c.value("UTF-16", [vec![0xff, 0xfe], utf16.clone()].concat(), Unreadable("not_utf8"));
    c.value("UTF-16 without its mark", utf16, Unreadable("not_json"));
    c.value("latin-1", *b"{\"name\":\"Jos\xe9\"}", Unreadable("not_utf8"));
    c.value("gzip", [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0], Unreadable("not_utf8"));
    let framed = [&[0, 0, 0, 0, 42][..], json.as_bytes()].concat();
    c.value("a schema registry's framing", framed, Unreadable("schema_framing"));
    c.value("an Avro container", *b"Obj\x01\x04\x14avro.codec", Unreadable("not_json"));
    c.value("protobuf", *b"\x0a\x05hello\x10\x07", Unreadable("not_json"));
    c.value("MessagePack", *b"\x81\xa1a\x01", Unreadable("not_utf8"));
    // Exactly one MiB is the limit.
    let padded = |payment: &Payment, size: usize| {
        let text = payment.json();
        let pad = "x".repeat(size - text.len() - r#""pad":"","#.len());
        text.replacen('{', &format!(r#"{{"pad":"{pad}","#), 1)
    };
    c.event("1 MiB", Applied, |p, _| padded(p, 1 << 20));
    c.event("1 MiB and a byte", Unreadable("oversize"), |p, _| padded(p, (1 << 20) + 1));
    c.value("16 MiB", vec![b' '; 16 << 20], Unreadable("oversize"));
}

fn syntax(c: &mut Corpus) {
    use Fate::{Applied, Unreadable};
    let bad = Unreadable("not_json");
    c.event("cut short", bad, |_, text| text[..text.len() - 9].to_owned());
    c.event("two documents", bad, |_, text| format!("{text}{text}"));
    c.event("trailing garbage", bad, |_, text| format!("{text} x"));
    c.event("a trailing newline", Applied, |_, text| format!("{text}\r\n"));
    c.event("leading blanks", Applied, |_, text| format!(" \t\n{text}"));
    c.event("a comment", bad, |_, text| format!("/* hi */ {text}"));
    c.event("a trailing comma", bad, |_, text| format!("{},}}", &text[..text.len() - 1]));
    c.event("single quotes", bad, |_, text| text.replace('"', "'"));
    c.event("an array", Unreadable("not_an_object"), |_, text| format!("[{text}]"));
    c.event("JSON in a text", Unreadable("not_an_object"), |_, text| format!("{text:?}"));
    c.value("null in letters", "null", Unreadable("not_an_object"));
    c.value("an empty object", "{}", Unreadable("no_type"));
    let nested = |levels: usize| format!(r#""a":{}{}"#, "[".repeat(levels), "]".repeat(levels));
    c.extra("127 levels", &nested(126), Applied);
    c.extra("129 levels", &nested(128), Unreadable("too_deep"));
    c.value(
        "a million levels",
        format!("{{\"a\":{}", "[".repeat(1_000_000)),
        Unreadable("too_deep"),
    );
    let keys: Vec<String> = (0..100_000).map(|n| format!("\"k{n:06}\":1")).collect();
    c.extra("a hundred thousand keys", &keys.join(","), Unreadable("oversize"));
    c.extra("ten thousand keys", &keys[..10_000].join(","), Applied);
    c.extra("a key twice, same value", r#""x":1,"x":1"#, Applied);
    c.extra("a key twice that nobody reads", r#""x":1,"x":2"#, Applied);
    c.extra("a key twice", r#""data":{},"eventId":2"#, Unreadable("duplicate_key"));
    c.extra("__proto__", r#""__proto__":{"admin":true}"#, Applied);
    c.extra("a key of punctuation", r#""a.b\"c\\d$":1"#, Applied);
}

fn identities(c: &mut Corpus) {
    use Fate::{Applied, Kept, Rejected};
    c.event("no event id", Applied, |_, text| text.replacen("eventId", "id_of_the_event", 1));
    for id in ["null", r#""""#, "17", "{}", r#""00000000-0000-0000-0000-000000000000""#] {
        c.field("eventId", id, Applied);
    }
    c.field("eventId", &format!("\"{}\"", "e".repeat(10_000)), Applied);
    for id in [
        r#""order 17""#,
        r#""order 17 ""#,
        "\"caf\u{e9}\"",
        "\"cafe\u{301}\"",
        "\"ev\u{200d}t\"",
        "\"\u{202e}tve\"",
    ] {
        c.field("eventId", id, Applied);
    }
    c.field("eventId", r#""a\u0000b""#, Applied);
    c.field("currency", r#""IN\u0000""#, Rejected("data.currency is not a text"));
    c.field("paymentId", "null", Rejected("data.paymentId is missing"));
    c.event("null for all of the data", Rejected("data.paymentId is missing"), |_, text| {
        let (before, _) = text.split_once(r#""data":"#).expect("the event has data");
        format!("{before}\"data\":null}}")
    });
    c.event("a renamed field", Rejected("data.paymentId is missing"), |_, text| {
        text.replacen("paymentId", "payment_id", 1)
    });
    c.event("no student", Rejected("data.studentId is missing"), |_, text| {
        text.replacen("studentId", "s", 1)
    });
    c.event("no course", Rejected("data.courseId is missing"), |_, text| {
        text.replacen("courseId", "c", 1)
    });
    for id in
        ["17", r#""""#, r#""pay_17""#, "true", r#""urn:uuid:6ba7b810-9dad-11d1-80b4-00c04fd430c8""#]
    {
        c.field("paymentId", id, Rejected("data.paymentId is not a UUID"));
    }
    c.event("a payment id in braces", Applied, |p, text| {
        with_field(&text, "paymentId", &format!("\"{{{}}}\"", p.id))
    });
    c.event("a payment id without dashes", Applied, |p, text| {
        with_field(&text, "paymentId", &format!("\"{}\"", p.id.simple()))
    });
    let before = c.cases.iter().find(|case| case.pays.is_some()).expect("a case before pays");
    let (first, value) = (before.pays.clone().expect("it pays"), before.record.value.clone());
    let again = Payment { event: uuid::Uuid::new_v4(), ..first.clone() };
    c.value("the same payment in another event", again.json(), Kept("already"));
    let dearer = Payment { event: uuid::Uuid::new_v4(), amount: "999.99".into(), ..first.clone() };
    c.value("the same payment for another amount", dearer.json(), Kept("conflict"));
    c.event("an id used before", Applied, |_, text| {
        with_field(&text, "eventId", &format!("\"{}\"", first.event))
    });
    c.value("the very same event", value.expect("it has a value"), Fate::Counted);
}

fn texts(c: &mut Corpus) {
    use Fate::{Applied, Rejected, Unreadable};
    for (name, text) in [
        ("SQL", r#"'); DROP TABLE payments; --"#),
        ("HTML", r#"<script>alert(1)</script>"#),
        ("line ends", r#"a\r\nlevel=info msg=\"forged\""#),
        ("an ANSI escape", r#"\u001b[2J"#),
        ("a family in one emoji", "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}"),
        ("noncharacters", "\u{ffff}\u{fdd0}"),
        ("escaped control characters", r#"\u0001\t\b\f"#),
        ("a surrogate pair in escapes", r#"\ud83d\ude00"#),
    ] {
        c.extra(name, &format!("\"note\":\"{text}\""), Applied);
    }
    c.extra("NUL in a nested text", r#""note":{"a":["\u0000"]}"#, Applied);
    c.extra("half a surrogate pair", r#""note":"\ud800""#, Applied);
    c.extra("a reversed surrogate pair", r#""note":"\ude00\ud83d""#, Applied);
    c.extra("numbers beyond all bounds", r#""a":1e400,"b":[NaN,-Infinity]"#, Applied);
    c.extra("a raw control character", "\"note\":\"a\u{1}b\"", Unreadable("not_json"));
    for currency in [r#""usd""#, r#""USDT""#, r#""""#, "null", r#""'; --""#, r#""€€€""#] {
        c.field("currency", currency, Rejected("data.currency is not three capital letters"));
    }
}

fn amounts(c: &mut Corpus) {
    use Fate::{Applied, Rejected, Unreadable};
    let paid = |c: &mut Corpus, json: &str, amount: &str| {
        c.field("amount", json, Applied);
        let case = c.cases.last_mut().and_then(|case| case.pays.as_mut());
        case.expect("an applied case pays").amount = amount.to_owned();
    };
    for (json, amount) in [
        (r#""0""#, "0.00"),
        (r#""12.30""#, "12.30"),
        (r#""12.3""#, "12.30"),
        (r#""12.3000""#, "12.30"),
        (r#""499.0000""#, "499.00"),
        ("12.30", "12.30"),
        ("499", "499.00"),
        (r#""9999999999.99""#, "9999999999.99"),
    ] {
        paid(c, json, amount);
    }
    let no = Rejected("data.amount is not plain digits that fit numeric(12,2)");
    c.field("amount", r#""-1""#, Rejected("data.amount is negative"));
    for text in [
        "-0",
        "1.005",
        "1e2",
        "NaN",
        "Infinity",
        "12,30",
        "1 000",
        "$5",
        "007",
        "+5",
        ".5",
        "5.",
        "0x10",
        "99999999999",
        "9007199254740993",
        "",
        " 5",
        "5\\n",
        "\u{661}\u{662}",
    ] {
        c.field("amount", &format!("\"{text}\""), no);
    }
    c.field("amount", "-1", Rejected("data.amount is negative"));
    for json in
        ["1.005", "1e-400", "9007199254740992", "18446744073709551615", "true", "[5]", r#"{"v":5}"#]
    {
        c.field("amount", json, no);
    }
    c.field("amount", &"9".repeat(40), no);
    c.field("amount", "null", Rejected("data.amount is missing"));
    for json in ["NaN", "Infinity", "1E+400"] {
        c.field("amount", json, no);
    }
    for json in ["007", "+5", ".5", "5.", "0x10"] {
        c.field("amount", json, Unreadable("not_json"));
    }
    c.field("amount", &"9".repeat(131_073), no);
}

fn times(c: &mut Corpus) {
    use Fate::Applied;
    // The record has a time as well.
    for text in [
        "2026-01-07T16:55:09",
        "2026-01-07",
        "10000-01-01T00:00:00Z",
        "Wed, 07 Jan 2026 16:55:09 GMT",
        "now",
        "infinity",
        "epoch",
        "2026-01-07 16:55:09Z",
        // These two timestamptz would take.
        "2026-01-07T16:55:039Z",
        "0024-01--4T16:55:09Z",
        "",
    ] {
        c.field("occurredAt", &format!("\"{text}\""), Applied);
    }
    c.field("occurredAt", "1767804909", Applied);
    for text in ["2026-02-30T00:00:00Z", "2100-02-29T00:00:00Z", "0000-01-01T00:00:00Z"] {
        c.field("occurredAt", &format!("\"{text}\""), Applied);
    }
    c.field("occurredAt", r#""2026-01-07T16:55:09+25:00""#, Applied);
    for text in [
        "9999-12-31T23:59:59Z",
        "2016-12-31T23:59:60Z",
        "2026-01-07T24:00:00Z",
        "2026-01-07T16:55:09+14:00",
        "2026-01-07T16:55:09.123456789Z",
        "1960-01-01T00:00:00-1200",
    ] {
        c.field("occurredAt", &format!("\"{text}\""), Applied);
    }
    c.field("occurredAt", "null", Applied);
}

fn transport(c: &mut Corpus) {
    use rules::record::Header;
    let header = |name: &str, value: Option<&[u8]>| Header {
        name: name.as_bytes().to_vec(),
        value: value.map(<[u8]>::to_vec),
    };
    c.record("no key", |record| record.key = None);
    c.record("a key of any bytes", |record| record.key = Some(vec![0xff, 0, 0xfe]));
    c.record("500 headers", |record| {
        record.headers = (0..500).map(|n| header(&format!("h{}", n % 7), Some(b"v"))).collect();
    });
    c.record("headers of null and of any bytes, twice", |record| {
        record.headers =
            vec![header("a", None), header("a", Some(&[0xff, 0])), header("", Some(b""))];
    });
    for (name, headers) in [
        ("no value", vec![]),
        ("no value, and a type", vec![header("type", Some(b"PURCHASE_CONFIRMED"))]),
    ] {
        // The topic is not compacted, so it is no tombstone.
        let (record, fate) =
            (Record { headers, ..raw(Some(b"k"), None) }, Fate::Unreadable("no_value"));
        c.cases.push(Case { name: name.to_owned(), record, fate, pays: None });
    }
    for (name, value, headers) in [
        ("another type in a header", Some("{}"), vec![header("type", Some(b"REFUNDED"))]),
        ("another type, no JSON", Some("not json"), vec![header("ce_type", Some(b"x"))]),
        ("another type in the JSON", Some(r#"{"eventType":"REFUNDED"}"#), vec![]),
    ] {
        let record = Record { headers, ..raw(Some(b"k"), value.map(str::as_bytes)) };
        c.cases.push(Case { name: name.to_owned(), record, fate: Fate::Counted, pays: None });
    }
    c.event("the type in small letters", Fate::Unreadable("type_unclear"), |_, text| {
        text.replacen("PURCHASE_CONFIRMED", "purchase_confirmed", 1)
    });
    c.event("no type", Fate::Unreadable("no_type"), |_, text| text.replacen("eventType", "t", 1));
    let mut broken = raw(None, Some(b"{\"broken\""));
    broken.headers = vec![header("b", Some(b"1")), header("a", None), header("b", Some(&[0xff]))];
    let fate = Fate::Unreadable("not_json");
    c.cases.push(Case { name: "headers in order".into(), record: broken, fate, pays: None });
}
