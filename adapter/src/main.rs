//! The adapter's program. Everything is in the library, where it can be tested.

use std::process::ExitCode;

fn main() -> ExitCode {
    tollgate_adapter::cli::main()
}
