//! Arguments to configuration to command.

fn main() {}
