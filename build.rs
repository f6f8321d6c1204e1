//! Has the linker lead librdkafka's calls that unpack batches through `src/kafka/bounds.rs`, and lists the statements of
//! `sql/core` for `src/store/rights.rs`.

use std::path::Path;
use std::{env, fs};

fn main() {
    for function in [
        "rd_gz_decompress",
        "rd_kafka_lz4_decompress",
        "rd_kafka_zstd_decompress",
        "rd_kafka_snappy_uncompressed_length",
        "rd_kafka_snappy_uncompress",
        "rd_kafka_snappy_java_uncompress",
        "rd_kafka_buf_new_shadow",
    ] {
        println!("cargo:rustc-link-arg=-Wl,--wrap={function}");
    }
    println!("cargo:rerun-if-env-changed=CARGO_MANIFEST_DIR");
    println!("cargo:rerun-if-changed=sql/core");
    statements();
}

/// A slice of all of them, each as its file has it.
fn statements() {
    let home = env::var("CARGO_MANIFEST_DIR").expect("cargo names the folder");
    let out = env::var("OUT_DIR").expect("cargo names the folder");
    // The lab is built by this file too, and has no statements.
    let Ok(files) = fs::read_dir(Path::new(&home).join("sql/core")) else { return };
    let mut files: Vec<_> = files.map(|file| file.expect("sql/core can be read").path()).collect();
    files.sort();
    let lines: String = files.iter().map(|file| format!("include_str!({file:?}),\n")).collect();
    fs::write(Path::new(&out).join("statements.rs"), format!("&[\n{lines}]\n"))
        .expect("cargo's folder can be written");
}
