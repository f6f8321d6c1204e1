//! W3C Trace Context: which trace a message belongs to, as its header `traceparent` says
//! (<https://www.w3.org/TR/trace-context/>, section 3.2).

use std::fmt;

use super::record::Record;

/// The header's name.
pub const HEADER: &str = "traceparent";

/// A place in a trace: the span under which a message was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    /// The trace; never zero.
    pub trace: u128,
    /// The span; never zero.
    pub span: u64,
    /// Whether whoever began the trace records it.
    pub sampled: bool,
}

impl TraceContext {
    /// Reads a header's value; `None` for anything that the standard tells a reader to ignore. Versions
    /// to come are read as far as this one reaches.
    pub fn parse(value: &[u8]) -> Option<TraceContext> {
        // version-trace-span-flags: 2, 32, 16 and 2 digits.
        let (head, rest) = value.split_at_checked(55)?;
        if head[2] != b'-' || head[35] != b'-' || head[52] != b'-' {
            return None;
        }
        let version = number(&head[..2])?;
        let is_whole = rest.is_empty() || (version > 0 && rest[0] == b'-');
        if version == 0xff || !is_whole {
            return None;
        }
        let trace = number(&head[3..35])?;
        let span = u64::try_from(number(&head[36..52])?).ok()?;
        let flags = number(&head[53..])?;
        (trace != 0 && span != 0).then_some(TraceContext { trace, span, sampled: flags & 1 == 1 })
    }

    /// The context of a record. Of headers with the same name the last counts, as for all others.
    pub fn of_record(record: &Record) -> Option<TraceContext> {
        let mut headers = record.headers.iter().rev();
        let header = headers.find(|header| header.name == HEADER.as_bytes())?;
        TraceContext::parse(header.value.as_deref()?)
    }

    /// The id of the first trace that some records belong to, for a line of the log.
    pub fn first_id<'r>(records: impl IntoIterator<Item = &'r Record>) -> Option<String> {
        records.into_iter().find_map(TraceContext::of_record).map(|context| context.trace_id())
    }

    /// The trace's id as logs and tools show it: 32 hexadecimal digits.
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }
}

/// As a header's value.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

/// Lower-case hexadecimal digits, the only ones the standard takes.
fn number(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number: u128, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(digit))
    })
}
