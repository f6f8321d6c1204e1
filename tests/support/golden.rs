//! Golden files: what people have agreed to, kept beside the tests. `MAKEGOOD_TEST_BLESS=1` accepts the new text.

use std::fs;
use std::path::Path;

const BLESS: &str = "MAKEGOOD_TEST_BLESS";

/// Fails, with the first line that differs, unless the file, named as from the root of the repository, holds this text.
#[track_caller]
pub fn assert_golden(name: &str, text: &str) {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package.ancestors().find(|folder| folder.join("Cargo.lock").exists());
    let file = root.unwrap_or(package).join(name);
    if std::env::var_os(BLESS).is_some_and(|value| value == "1") {
        fs::write(&file, text).unwrap_or_else(|e| panic!("cannot write {}: {e}", file.display()));
    }
    let golden = fs::read_to_string(&file).unwrap_or_default();
    if golden == text {
        return;
    }
    let same = golden.lines().zip(text.lines()).take_while(|(a, b)| a == b).count();
    let line = |text: &str| text.lines().nth(same).unwrap_or("(the end)").to_owned();
    panic!(
        "{name} differs first in line {}:\n  agreed: {}\n  found:  {}\n{BLESS}=1 accepts the new text",
        same + 1,
        line(&golden),
        line(text)
    );
}
