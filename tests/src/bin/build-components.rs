//! Builds the components that this repository keeps compiled: `cargo run -p rerate-tests --bin build-components [--check]`.
//!
//! With `--check` it builds them elsewhere and fails if what is kept is older than its sources; that the bytes differ is only reported,
//! because another compiler makes other bytes.

#![allow(clippy::print_stdout)] // a command

use anyhow::{Context, bail};
use rerate_tests::components::{BUILTINS, FIXTURES, Set};

fn main() -> anyhow::Result<()> {
    let check = match std::env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => bail!("usage: build-components [--check]"),
    };
    for set in [&BUILTINS, &FIXTURES] {
        if check { compare(set)? } else { drop(set.build(&set.dist(), report)?) }
    }
    Ok(())
}

fn report(name: &str, size: usize) {
    println!("{name:20} {size:>8} bytes");
}

fn compare(set: &Set) -> anyhow::Result<()> {
    let kept = set.lock()?;
    let folder = tempfile::tempdir()?;
    let built = set.build(folder.path(), report)?;
    for (name, built) in &built {
        let kept = kept.get(name).with_context(|| format!("{name} is not in {}/lock.json: run build-components", set.dist))?;
        if kept.sources != built.sources {
            bail!("{name} is older than its sources: run build-components and commit {}", set.dist);
        }
        if kept.component != built.component {
            println!("{name}: this compiler makes other bytes than the one that made {}", set.dist);
        }
    }
    Ok(())
}
