//! No number is without an end.

use super::refused;

#[test]
fn a_number_that_would_take_all_memory_or_never_come_is_refused_with_what_is_right() {
    let keys = [
        ("lanes = N", "a whole number from 1 to 64"),
        ("suspects = N", "a whole number from 1 to 10000"),
        ("max_record = \"NMiB\"", "16MiB is the most"),
        ("max_quarantine = \"NGiB\"", "1048576GiB is the most"),
        ("batch = { rows = N }", "a whole number from 1 to 100000"),
        ("batch = { bytes = \"NMiB\" }", "64MiB is the most"),
        ("batch = { linger = \"Ns\" }", "10s is the most"),
    ];
    let route =
        |line: &str| format!("[[inbox]]\nname = \"a\"\ntopic = \"a\"\ngroup = \"g\"\n{line}\n");
    for (line, right) in keys {
        for number in ["10000000000", "18446744073709551615", "0", "-1"] {
            let line = line.replace('N', number);
            // No linger at all is allowed.
            if line.contains("\"0s\"") {
                continue;
            }
            let text = refused(&route(&line));
            assert!(text.contains(line.split(' ').next().unwrap()), "{line}: {text}");
            if number == "10000000000" {
                assert!(text.contains(right), "{line}: {text}");
            }
        }
    }
    let job = "[[reconcile]]\nname = \"a\"\ninbox = \"purchase-confirmed\"\n";
    for line in [
        "[watchdog]\npatience = \"25h\"".to_owned(),
        "[retention]\ninbox = \"1000000000d\"".to_owned(),
        "[retention]\noutbox = \"0s\"".to_owned(),
        "[alert]\nafter = \"31d\"".to_owned(),
        "[alert]\nrepeat = \"99999999999999999999d\"".to_owned(),
        "[outbox]\nshards = 1000000".to_owned(),
        format!("{job}every = \"0s\""),
        format!("{job}grace = \"366d\""),
        format!("{job}sweep = \"36501d\""),
        format!("{job}window = 10000001"),
        format!("{job}max_backfill = {{ rows = 4294967296 }}"),
        format!("{job}max_backfill = {{ share = \"101%\" }}"),
    ] {
        refused(&line);
    }
}
