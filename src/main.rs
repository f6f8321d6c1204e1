//! The `makegood` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    makegood::cli::main()
}
