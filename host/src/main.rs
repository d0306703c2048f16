//! Arguments to configuration to command; everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    rerate::cli::main()
}
