//! What people read first does not change by accident.

#[path = "support/golden.rs"]
mod golden;
#[path = "support/help_texts.rs"]
mod help_texts;

#[test]
fn help_is_as_agreed_on_every_level() {
    let text = help_texts::of(env!("CARGO_BIN_EXE_makegood"), "makegood");
    for command in ["run", "status", "config check", "migrate up", "inbox show"] {
        assert!(text.contains(&format!("$ makegood {command} --help")), "{command} is not walked");
    }
    golden::assert_golden("tests/golden/help.txt", &text);
}
