//! `rerate plugin sign`: vouches for a component. No daemon is asked; which keys it trusts is its own affair.

use std::path::PathBuf;

use crate::cli::{Failure, output};
use crate::plugins::digest_of;
use crate::plugins::signature::PrivateKey;
use crate::sandbox::{Sandbox, SandboxOptions};

pub(super) const EXAMPLES: &str = "\
Examples:
  rerate plugin sign my-rule.wasm --key release.key                      in its place
  rerate plugin sign my-rule.wasm --key release.key --out signed.wasm

The signature travels in the component's last section and covers every byte before it, golden cases too. A signed component is a version
of its own, since a version is the digest of the whole file. `rerate key new` makes a key.";

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The component
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The private key, as `rerate key new` writes it
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Where to write the signed component [default: in the place of the unsigned]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let read = |path: &PathBuf| std::fs::read(path).map_err(|error| Failure::input(format!("{}: {error}", path.display())));
    let text = String::from_utf8(read(&args.key)?).unwrap_or_default();
    let key = PrivateKey::read(&text).map_err(|error| Failure::input(format!("{}: {error}", args.key.display())))?;
    let component = read(&args.file)?;
    // Whoever signs wants to know what: at least that it is a rule.
    Sandbox::new(SandboxOptions::default())?
        .validate(&component)
        .map_err(|refusal| Failure::input(format!("{}: {refusal}", args.file.display())))?;
    let signed = key.sign(&component);
    let out = args.out.as_ref().unwrap_or(&args.file);
    std::fs::write(out, &signed).map_err(|error| Failure::input(format!("{}: {error}", out.display())))?;
    output::print(&format!("{}  signed by key {}  sha256 {}", out.display(), key.id(), digest_of(&signed)));
    Ok(())
}
