//! Lists the statements of `sql/core` for `src/rights.rs`: a slice of all of them, each as its file has it.

use std::path::Path;
use std::{env, fs};

fn main() {
    let home = env::var("CARGO_MANIFEST_DIR").expect("cargo names the folder");
    let out = env::var("OUT_DIR").expect("cargo names the folder");
    let folder = Path::new(&home).join("../../sql/core");
    println!("cargo:rerun-if-changed={}", folder.display());
    let files = fs::read_dir(folder).expect("sql/core can be read");
    let mut files: Vec<_> = files.map(|file| file.expect("sql/core can be read").path()).collect();
    files.sort();
    let lines: String = files.iter().map(|file| format!("include_str!({file:?}),\n")).collect();
    fs::write(Path::new(&out).join("statements.rs"), format!("&[\n{lines}]\n"))
        .expect("cargo's folder can be written");
}
