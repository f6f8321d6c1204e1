//! Records that producers really send when something is wrong with them, and what must become of each: the rows of
//! `bad_input.tsv`, which says how they are written.

use rules::record::{Header, Record};

use super::events::{Payment, raw};

const ROWS: &str = include_str!("bad_input.tsv");

/// What must become of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Unreadable as an event: quarantined for this reason.
    Unreadable(String),
    /// Refused by the mapping, which says why: quarantined as `rejected`.
    Rejected(String),
    /// In the inbox as `applied`, and its payment has its purchase.
    Applied,
    /// In the inbox with this other outcome.
    Kept(String),
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
    /// Tests of cases that a record alone does not make.
    pub elsewhere: Vec<String>,
    /// The numbers of the catalogue that are covered.
    pub numbers: Vec<u32>,
}

/// The whole corpus.
pub fn corpus() -> Corpus {
    let mut corpus = Corpus::default();
    for line in ROWS.lines().filter(|line| !line.starts_with('#')) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [numbers, name, make, with, fate, detail] = columns[..] else {
            panic!("not six columns: {line}")
        };
        corpus.numbers.extend(numbers.split(", ").map(|n| n.parse::<u32>().expect("a number")));
        match make {
            "elsewhere" => corpus.elsewhere.push(with.to_owned()),
            _ => corpus.add(name, (make, with), fate, detail),
        }
    }
    corpus
}

impl Corpus {
    fn add(&mut self, name: &str, (make, with): (&str, &str), fate: &str, detail: &str) {
        let mut payment = Payment::new(self.cases.len());
        let value = bytes_of(with);
        let with = String::from_utf8_lossy(&value);
        let text = payment.json();
        let record = match make.split_once(' ').unwrap_or((make, "")) {
            ("value", _) => raw(Some(b"corpus"), Some(&value)),
            ("field", name) => of(with_field(&text, name, &with)),
            ("extra", _) => of(text.replacen('{', &format!("{{{with},"), 1)),
            ("whole", _) => of(with.replace("{}", &text)),
            ("swap", _) => {
                let (from, to) = with.split_once(" -> ").expect("A -> B");
                let times = if from == "\"" { usize::MAX } else { 1 };
                of(text.replacen(from, to, times))
            }
            ("special", _) => self.special(&with, &mut payment),
            _ => panic!("{name}: nobody can make {make}"),
        };
        let said = detail.to_owned();
        let fate = match fate {
            "applied" => Fate::Applied,
            "unreadable" => Fate::Unreadable(said),
            "rejected" => Fate::Rejected(said),
            "kept" => Fate::Kept(said),
            "counted" => Fate::Counted,
            _ => panic!("{name}: {fate} is no fate"),
        };
        if name.starts_with("amount") {
            payment.amount = detail.to_owned();
        } else if name.contains("without cents") {
            payment.currency = "JPY".to_owned();
        }
        let pays = (fate == Fate::Applied).then_some(payment);
        self.cases.push(Case { name: name.to_owned(), record, fate, pays });
    }

    /// What cannot be written in a line.
    fn special(&self, what: &str, payment: &mut Payment) -> Record {
        let text = payment.json();
        let utf16 = || text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let more = |members: &str| of(text.replacen('{', &format!("{{{members},"), 1));
        let nested = |levels: usize| format!(r#""a":{}{}"#, "[".repeat(levels), "]".repeat(levels));
        let keys = |count: usize| -> Vec<String> {
            (0..count).map(|n| format!("\"k{n:06}\":1")).collect()
        };
        let field = |name: &str, json: String| of(with_field(&text, name, &json));
        match what {
            "no value" => raw(Some(b"k"), None),
            "no value and a type" => headed(raw(Some(b"k"), None), "type", "PURCHASE_CONFIRMED"),
            "utf-16 with its mark" => raw(Some(b"k"), Some(&[vec![0xff, 0xfe], utf16()].concat())),
            "utf-16" => raw(Some(b"k"), Some(&utf16())),
            "cut short" => of(text[..text.len() - 9].to_owned()),
            "a trailing comma" => of(format!("{},}}", &text[..text.len() - 1])),
            "json in a text" => of(format!("{text:?}")),
            // Exactly one MiB is the limit.
            "1 MiB" => of(padded(&text, 1 << 20)),
            "1 MiB and a byte" => of(padded(&text, (1 << 20) + 1)),
            "16 MiB" => raw(Some(b"k"), Some(&vec![b' '; 16 << 20])),
            "100000 keys" => more(&keys(100_000).join(",")),
            "10000 keys" => more(&keys(10_000).join(",")),
            "127 levels" => more(&nested(126)),
            "129 levels" => more(&nested(128)),
            "a million levels" => of(format!("{{\"a\":{}", "[".repeat(1_000_000))),
            "an array of a million" => more(&format!("\"a\":[{}1]", "1,".repeat(999_999))),
            "an array of 300000" => more(&format!("\"a\":[{}1]", "1,".repeat(299_999))),
            "event id of 10 kB" => field("eventId", format!("\"{}\"", "e".repeat(10_000))),
            "null for all of the data" => {
                let (before, _) = text.split_once(r#""data":"#).expect("the event has data");
                of(format!("{before}\"data\":null}}"))
            }
            "amount of 40 digits" => field("amount", "9".repeat(40)),
            "amount of 131073 digits" => field("amount", "9".repeat(131_073)),
            "payment id in braces" => field("paymentId", format!("\"{{{}}}\"", payment.id)),
            "payment id without dashes" => {
                field("paymentId", format!("\"{}\"", payment.id.simple()))
            }
            "the very same event" => self.first().1,
            "an id used before" => field("eventId", format!("\"{}\"", self.first().0.event)),
            "the same payment" => of(Payment { event: payment.event, ..self.first().0 }.json()),
            "the same payment for more" => {
                let amount = "999.99".to_owned();
                of(Payment { event: payment.event, amount, ..self.first().0 }.json())
            }
            "another type in a header" => headed(raw(Some(b"k"), Some(b"{}")), "type", "REFUNDED"),
            "another type, no JSON" => headed(raw(Some(b"k"), Some(b"not json")), "ce_type", "x"),
            "no key" => Record { key: None, ..payment.record() },
            "a key of any bytes" => Record { key: Some(vec![0xff, 0, 0xfe]), ..payment.record() },
            "500 headers" => {
                let headers = (0..500).map(|n| header(&format!("h{}", n % 7), Some(b"v")));
                Record { headers: headers.collect(), ..payment.record() }
            }
            "odd headers" => {
                let headers =
                    vec![header("a", None), header("a", Some(&[0xff, 0])), header("", Some(b""))];
                Record { headers, ..payment.record() }
            }
            "headers in order" => {
                let headers =
                    vec![header("b", Some(b"1")), header("a", None), header("b", Some(&[0xff]))];
                Record { headers, ..raw(None, Some(b"{\"broken\"")) }
            }
            _ => panic!("nobody can make {what}"),
        }
    }

    /// The first case that pays, and its record.
    fn first(&self) -> (Payment, Record) {
        let paid = |case: &Case| Some((case.pays.clone()?, case.record.clone()));
        self.cases.iter().skip(10).find_map(paid).expect("a case before pays")
    }
}

/// A record of an event's text.
fn of(text: String) -> Record {
    raw(Some(b"corpus"), Some(text.as_bytes()))
}

fn header(name: &str, value: Option<&[u8]>) -> Header {
    Header { name: name.as_bytes().to_vec(), value: value.map(<[u8]>::to_vec) }
}

fn headed(record: Record, name: &str, value: &str) -> Record {
    Record { headers: vec![header(name, Some(value.as_bytes()))], ..record }
}

fn padded(text: &str, size: usize) -> String {
    let pad = "x".repeat(size - text.len() - r#""pad":"","#.len());
    text.replacen('{', &format!(r#"{{"pad":"{pad}","#), 1)
}

/// An event's text with another JSON value in one field.
pub fn with_field(text: &str, field: &str, json: &str) -> String {
    let key = format!("\"{field}\":");
    let (before, rest) = text.split_once(&key).expect("the event has that field");
    let end = rest.find([',', '}']).expect("a value ends");
    format!("{before}{key}{json}{}", &rest[end..])
}

/// What is written with escapes.
fn bytes_of(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, escape)) = rest.split_once('\\') {
        bytes.extend(before.as_bytes());
        let (kind, behind) = escape.split_at(1);
        rest = behind;
        match kind {
            "n" => bytes.push(b'\n'),
            "r" => bytes.push(b'\r'),
            "t" => bytes.push(b'\t'),
            "\\" => bytes.push(b'\\'),
            "x" => {
                let (digits, behind) = rest.split_at(2);
                bytes.push(u8::from_str_radix(digits, 16).expect("two digits"));
                rest = behind;
            }
            "u" => {
                let (digits, behind) = rest[1..].split_once('}').expect("\\u{N}");
                let code = u32::from_str_radix(digits, 16).expect("a code point");
                let letter = char::from_u32(code).expect("a letter");
                bytes.extend(letter.to_string().as_bytes());
                rest = behind;
            }
            _ => panic!("\\{kind} is no escape: {text}"),
        }
    }
    bytes.extend(rest.as_bytes());
    bytes
}
