//! Has the linker lead librdkafka's calls that unpack batches through `crates/kafka/src/bounds.rs`.

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
    // Nothing else is read; a change of this file itself builds it anew.
    println!("cargo:rerun-if-env-changed=CARGO_MANIFEST_DIR");
}
