//! What people read first does not change by accident.

use crate::golden::assert_golden;
use crate::help_texts;

#[test]
fn help_is_as_agreed_on_every_level() {
    let text = help_texts::of(env!("CARGO_BIN_EXE_makegood"), "makegood");
    for command in ["run", "status", "config check", "migrate up", "inbox show"] {
        assert!(text.contains(&format!("$ makegood {command} --help")), "{command} is not walked");
    }
    assert_golden("tests/golden/help.txt", &text);
}
