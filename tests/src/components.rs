//! The components that this repository keeps compiled, and the lock that ties each to its sources.
//!
//! A component in `dist` is as old as its lock entry says: the digest of its crate, the SDK and the contract.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rerate::plugins::build::build_component;
use rerate::plugins::digest_of;
use serde::{Deserialize, Serialize};

/// Crates that become components in one folder.
pub struct Set {
    /// Where `<name>.wasm` and `lock.json` are kept, from the repository's root.
    pub dist: &'static str,
    /// Name and crate folder, from the repository's root.
    pub crates: &'static [(&'static str, &'static str)],
}

/// The built-in rules.
pub const BUILTINS: Set = Set {
    dist: "plugins/dist",
    crates: &[
        ("adjustment", "plugins/adjustment"),
        ("charge", "plugins/charge"),
        ("commitments", "plugins/commitments"),
        ("exclusion", "plugins/exclusion"),
        ("formula", "plugins/formula"),
        ("markup", "plugins/markup"),
        ("public-price", "plugins/public-price"),
    ],
};

/// Rules that misbehave, one way each, and the example of an author's own rule.
pub const FIXTURES: Set = Set {
    dist: "tests/fixtures/dist",
    crates: &[
        ("allocates", "tests/fixtures/allocates"),
        ("beyond-range", "tests/fixtures/beyond-range"),
        ("imports-wasi", "tests/fixtures/imports-wasi"),
        ("logs", "tests/fixtures/logs"),
        ("loops", "tests/fixtures/loops"),
        ("loops-per-row", "tests/fixtures/loops-per-row"),
        ("overflows", "tests/fixtures/overflows"),
        ("reads-outside-plan", "tests/fixtures/reads-outside-plan"),
        ("traps", "tests/fixtures/traps"),
        ("writes-billed-cost", "tests/fixtures/writes-billed-cost"),
        ("writes-outside-plan", "tests/fixtures/writes-outside-plan"),
        ("wrong-decision-count", "tests/fixtures/wrong-decision-count"),
        ("wrong-row-count", "tests/fixtures/wrong-row-count"),
        ("rounding-markup", "examples/rounding-markup"),
    ],
};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locked {
    /// sha256 of the component.
    pub component: String,
    /// sha256 over the crate, the SDK and the contracts.
    pub sources: String,
}

pub type Lock = BTreeMap<String, Locked>;

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}

impl Set {
    pub fn dist(&self) -> PathBuf {
        root().join(self.dist)
    }

    pub fn component(&self, name: &str) -> PathBuf {
        self.dist().join(format!("{name}.wasm"))
    }

    /// # Errors
    /// When the lock is missing or is no lock.
    pub fn lock(&self) -> anyhow::Result<Lock> {
        let path = self.dist().join("lock.json");
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        serde_json::from_str(&text).with_context(|| path.display().to_string())
    }

    /// Builds every crate into `dist`, and says each component's digests. `report` is told name and size in bytes as they are built.
    ///
    /// # Errors
    /// When a crate does not build.
    pub fn build(&self, dist: &Path, mut report: impl FnMut(&str, usize)) -> anyhow::Result<Lock> {
        let mut lock = Lock::new();
        for (name, dir) in self.crates {
            let built = build_component(&root().join(dir), &dist.join(format!("{name}.wasm")), None).with_context(|| (*dir).to_owned())?;
            report(name, built.size);
            lock.insert((*name).to_owned(), Locked { component: built.digest, sources: sources_digest(dir)? });
        }
        std::fs::create_dir_all(dist)?;
        std::fs::write(dist.join("lock.json"), serde_json::to_string_pretty(&lock)? + "\n")?;
        Ok(lock)
    }
}

/// The digest of everything of ours that goes into the component of the crate in `dir`: paths and contents.
///
/// # Errors
/// When a source cannot be read.
pub fn sources_digest(dir: &str) -> anyhow::Result<String> {
    let root = root();
    let mut files = vec![root.join("wit/rule.wit"), root.join("wit/deps/log.wit")];
    for folder in [dir, "plugins/sdk"] {
        files.push(root.join(folder).join("Cargo.toml"));
        collect(&root.join(folder).join("src"), &mut files)?;
    }
    let cases = root.join(dir).join("cases");
    if cases.is_dir() {
        collect(&cases, &mut files)?; // they travel in the component
    }
    files.sort();
    let mut text = String::new();
    for file in files {
        let bytes = std::fs::read(&file).with_context(|| file.display().to_string())?;
        let name = file.strip_prefix(&root)?.to_string_lossy();
        text.push_str(&format!("{name} {}\n", digest_of(&bytes)));
    }
    Ok(digest_of(text.as_bytes()))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() { collect(&path, files)? } else { files.push(path) }
    }
    Ok(())
}
