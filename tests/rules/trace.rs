//! Reading `traceparent`: what the standard says, and nothing of what anybody else may put there.

use proptest::prelude::*;
use rules::record::{Header, Record};
use rules::trace::{HEADER, TraceContext};

use super::law;

fn contexts() -> impl Strategy<Value = TraceContext> {
    (1..=u128::MAX, 1..=u64::MAX, any::<bool>()).prop_map(|(trace, span, sampled)| TraceContext {
        trace,
        span,
        sampled,
    })
}

#[test]
fn a_context_is_read_as_it_is_written() {
    law(contexts(), |context| {
        let text = context.to_string();
        prop_assert_eq!(TraceContext::parse(text.as_bytes()), Some(context));
        prop_assert_eq!(&text[3..35], context.trace_id());
        Ok(())
    });
}

#[test]
fn any_bytes_are_read_without_a_panic_and_a_changed_digit_never_becomes_another_form() {
    law((contexts(), 0..55_usize, any::<u8>()), |(context, at, byte)| {
        let mut text = context.to_string().into_bytes();
        text[at] = byte;
        if let Some(read) = TraceContext::parse(&text) {
            let same = read.to_string().into_bytes();
            // Version and flags are not kept.
            prop_assert_eq!(&same[2..53], &text[2..53]);
        }
        let _ = TraceContext::parse(&text[..at]);
        Ok(())
    });
}

#[test]
fn later_versions_are_read_as_far_as_this_one_reaches() {
    const GOOD: &str = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";
    const ZEROS: &str = "00000000000000000000000000000000-00f067aa0ba902b7";
    const NO_SPAN: &str = "4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000";
    let cases = [
        (format!("00-{GOOD}-01"), Some(true)),
        (format!("00-{GOOD}-00"), Some(false)),
        (format!("00-{GOOD}-03"), Some(true)),
        (format!("00-{GOOD}-01-more"), None),
        (format!("01-{GOOD}-01"), Some(true)),
        (format!("01-{GOOD}-01-more"), Some(true)),
        (format!("01-{GOOD}-01more"), None),
        (format!("ff-{GOOD}-01"), None),
        (format!("00-{ZEROS}-01"), None),
        (format!("00-{NO_SPAN}-01"), None),
        (format!("00-{}-01", GOOD.to_uppercase()), None),
        (format!(" 00-{GOOD}-01"), None),
        (String::new(), None),
    ];
    for (text, sampled) in cases {
        let read = TraceContext::parse(text.as_bytes()).map(|context| context.sampled);
        assert_eq!(read, sampled, "{text}");
    }
}

#[test]
fn the_last_header_of_the_name_counts() {
    law((contexts(), contexts()), |(first, last)| {
        let header = |context: TraceContext| Header {
            name: HEADER.as_bytes().to_vec(),
            value: Some(context.to_string().into_bytes()),
        };
        let record = Record { headers: vec![header(first), header(last)], ..Record::default() };
        prop_assert_eq!(TraceContext::of_record(&record), Some(last));
        Ok(())
    });
}
