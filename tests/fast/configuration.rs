//! The shipped file and the reference say what the keys' declarations say.

use crate::golden::assert_golden;
use makegood::config;

#[test]
fn the_shipped_file_and_the_reference_are_made_from_the_declarations() {
    assert_golden("deploy/makegood.toml", &config::shipped());
    assert_golden("docs/reference/configuration.md", &config::reference());
}
